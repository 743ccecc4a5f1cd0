using System;
using System.IO;
using System.Net.Sockets;
using System.Threading;

namespace SslSock.StaticHelper
{
    /// <summary>TLS over any stream. It belongs to this one, which closes it.</summary>
    /// <remarks>
    /// <para>The library works on sockets: between it and the stream there is a connection over loopback, and what
    /// travels on it is carried to the stream and back. Over a NetworkStream, SslSock.SslHelper does without.</para>
    /// <para>One thread may read while another writes. The stream is read by one thread and written by another, also when
    /// nobody reads or writes here.</para>
    /// </remarks>
    public class SslStream : Stream
    {
        private const int DefaultBufferSize = 8192;
        private const int DeliveryMilliseconds = 10000;
        // As long as the library itself waits for the peer's last words.
        private const int LastWordsMilliseconds = 5000;

        private readonly Stream stream;
        private readonly int bufferSize;
        private NetworkStream plain;
        private Carrier carrier;
        private int isClosed;

        /// <summary>TLS over a stream, with a buffer of 8192 bytes.</summary>
        /// <param name="stream">A stream that can be read and written, also at the same time.</param>
        public SslStream(Stream stream) : this(stream, DefaultBufferSize)
        {
        }

        /// <summary>TLS over a stream.</summary>
        /// <param name="stream">A stream that can be read and written, also at the same time.</param>
        /// <param name="bufferSize">How many bytes are carried at once, in each direction.</param>
        /// <exception cref="ArgumentNullException"><paramref name="stream"/> is null.</exception>
        /// <exception cref="ArgumentOutOfRangeException"><paramref name="bufferSize"/> is not positive.</exception>
        public SslStream(Stream stream, int bufferSize)
        {
            if (stream == null)
            {
                throw new ArgumentNullException(nameof(stream));
            }
            if (bufferSize <= 0)
            {
                throw new ArgumentOutOfRangeException(nameof(bufferSize));
            }
            this.stream = stream;
            this.bufferSize = bufferSize;
        }

        /// <summary>Whether there is a session to read from.</summary>
        public override bool CanRead
        {
            get { return plain != null && isClosed == 0; }
        }

        /// <summary>False.</summary>
        public override bool CanSeek
        {
            get { return false; }
        }

        /// <summary>Whether there is a session to write to.</summary>
        public override bool CanWrite
        {
            get { return plain != null && isClosed == 0; }
        }

        /// <summary>True: both timeouts work once there is a session.</summary>
        public override bool CanTimeout
        {
            get { return true; }
        }

        /// <summary>How long Read waits, in milliseconds; Timeout.Infinite: no limit.</summary>
        public override int ReadTimeout
        {
            get { return Plain.ReadTimeout; }
            set { Plain.ReadTimeout = value; }
        }

        /// <summary>How long Write waits, in milliseconds; Timeout.Infinite: no limit.</summary>
        public override int WriteTimeout
        {
            get { return Plain.WriteTimeout; }
            set { Plain.WriteTimeout = value; }
        }

        /// <summary>Not supported.</summary>
        public override long Length
        {
            get { throw new NotSupportedException(); }
        }

        /// <summary>Not supported.</summary>
        public override long Position
        {
            get { throw new NotSupportedException(); }
            set { throw new NotSupportedException(); }
        }

        /// <summary>The library's handle, for session and certificate.</summary>
        public SslSocket SslSocket { get; private set; }

        /// <summary>Makes the handshake; the library decides about the server's certificate.</summary>
        /// <param name="targetHost">The server's name, DNS or IP literal: its certificate has to be for it.</param>
        /// <exception cref="ArgumentNullException"><paramref name="targetHost"/> is null.</exception>
        /// <exception cref="InvalidOperationException">It has been made already.</exception>
        /// <exception cref="SslSocketException">The handshake has failed; the stream has been closed.</exception>
        public void AutentificateAsClient(string targetHost)
        {
            Authenticate(targetHost, null);
        }

        /// <summary>Makes the handshake; a hook decides about the server's certificate.</summary>
        /// <param name="targetHost">The server's name, which the hook gets too.</param>
        /// <param name="func">The hook, called on this thread.</param>
        /// <exception cref="ArgumentNullException">Something is null.</exception>
        /// <exception cref="InvalidOperationException">It has been made already.</exception>
        /// <exception cref="SslSocketException">The handshake has failed; the stream has been closed.</exception>
        public void AutentificateAsClient(string targetHost, DRemoteCertificateValidation func)
        {
            if (func == null)
            {
                throw new ArgumentNullException(nameof(func));
            }
            Authenticate(targetHost, SslHelper.WithHost(func, targetHost));
        }

        /// <summary>Nothing: what is written is on its way.</summary>
        public override void Flush()
        {
        }

        /// <summary>Not supported.</summary>
        /// <param name="offset">Whatever.</param>
        /// <param name="origin">Whatever.</param>
        /// <returns>Never.</returns>
        public override long Seek(long offset, SeekOrigin origin)
        {
            throw new NotSupportedException();
        }

        /// <summary>Not supported.</summary>
        /// <param name="value">Whatever.</param>
        public override void SetLength(long value)
        {
            throw new NotSupportedException();
        }

        /// <summary>Reads what has come.</summary>
        /// <param name="buffer">Where it goes.</param>
        /// <param name="offset">Where that begins.</param>
        /// <param name="count">How much at most.</param>
        /// <returns>How many bytes; 0 after the server's end.</returns>
        /// <exception cref="IOException">The connection has broken; also if it ended without close_notify.</exception>
        public override int Read(byte[] buffer, int offset, int count)
        {
            return Explained(() => Plain.Read(buffer, offset, count));
        }

        /// <summary>Writes.</summary>
        /// <param name="buffer">The bytes.</param>
        /// <param name="offset">Where they begin.</param>
        /// <param name="count">How many.</param>
        /// <exception cref="IOException">The connection has broken.</exception>
        public override void Write(byte[] buffer, int offset, int count)
        {
            Explained(() =>
            {
                Plain.Write(buffer, offset, count);
                return count;
            });
        }

        /// <summary>Begins to read.</summary>
        /// <param name="buffer">Where it goes.</param>
        /// <param name="offset">Where that begins.</param>
        /// <param name="count">How much at most.</param>
        /// <param name="callback">Called at the end; may be null.</param>
        /// <param name="state">Handed to it.</param>
        /// <returns>To be given to EndRead.</returns>
        public override IAsyncResult BeginRead(byte[] buffer, int offset, int count, AsyncCallback callback, object state)
        {
            return Plain.BeginRead(buffer, offset, count, callback, state);
        }

        /// <summary>Waits for the end of reading.</summary>
        /// <param name="asyncResult">What BeginRead gave.</param>
        /// <returns>As Read.</returns>
        /// <exception cref="IOException">The connection has broken; also if it ended without close_notify.</exception>
        public override int EndRead(IAsyncResult asyncResult)
        {
            return Explained(() => plain.EndRead(asyncResult));
        }

        /// <summary>Begins to write.</summary>
        /// <param name="buffer">The bytes.</param>
        /// <param name="offset">Where they begin.</param>
        /// <param name="count">How many.</param>
        /// <param name="callback">Called at the end; may be null.</param>
        /// <param name="state">Handed to it.</param>
        /// <returns>To be given to EndWrite.</returns>
        public override IAsyncResult BeginWrite(byte[] buffer, int offset, int count, AsyncCallback callback, object state)
        {
            return Plain.BeginWrite(buffer, offset, count, callback, state);
        }

        /// <summary>Waits for the end of writing.</summary>
        /// <param name="asyncResult">What BeginWrite gave.</param>
        /// <exception cref="IOException">The connection has broken.</exception>
        public override void EndWrite(IAsyncResult asyncResult)
        {
            Explained(() =>
            {
                plain.EndWrite(asyncResult);
                return 0;
            });
        }

        /// <summary>
        /// Ends the session and closes the stream: what was written is delivered first, and close_notify, for at most
        /// 10 s; then the peer has 5 s to end its side.
        /// </summary>
        /// <param name="disposing">False in a finalizer.</param>
        protected override void Dispose(bool disposing)
        {
            if (disposing && Interlocked.Exchange(ref isClosed, 1) == 0)
            {
                if (plain != null)
                {
                    plain.Dispose();
                    carrier.WaitForOutward(DeliveryMilliseconds);
                    carrier.WaitForInward(LastWordsMilliseconds);
                }
                stream.Dispose();
            }
            base.Dispose(disposing);
        }

        private NetworkStream Plain
        {
            get
            {
                if (isClosed != 0)
                {
                    throw new ObjectDisposedException(nameof(SslStream));
                }
                if (plain == null)
                {
                    throw new InvalidOperationException("AutentificateAsClient comes first.");
                }
                return plain;
            }
        }

        private void Authenticate(string targetHost, SslSock.SslHelper.SSLVALIDATECERTFUNC hook)
        {
            if (targetHost == null)
            {
                throw new ArgumentNullException(nameof(targetHost));
            }
            if (isClosed != 0)
            {
                throw new ObjectDisposedException(nameof(SslStream));
            }
            if (carrier != null)
            {
                throw new InvalidOperationException("The handshake has been made, or tried, already.");
            }
            NativeLoader.Load();
            Socket near;
            Socket far;
            LoopbackPair.Make(out near, out far);
            carrier = new Carrier(stream, far, bufferSize);
            try
            {
                SocketState state = SocketState.Of(near);
                state.Begin(targetHost, hook);
                SslSocket = state.Open();
                plain = new NetworkStream(near, true);
            }
            catch (Exception)
            {
                near.Close();
                carrier.WaitForOutward(DeliveryMilliseconds);
                Dispose();
                throw;
            }
        }

        /// <summary>If it was the stream that broke, its exception says why.</summary>
        private int Explained(Func<int> transfer)
        {
            try
            {
                return transfer();
            }
            catch (IOException)
            {
                Exception why = carrier == null ? null : carrier.Failure;
                if (why == null)
                {
                    throw;
                }
                throw new IOException("The stream below TLS failed: " + why.Message, why);
            }
        }
    }
}
