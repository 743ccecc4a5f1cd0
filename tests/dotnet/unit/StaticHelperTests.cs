using System;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using SslSock;
using SslSock.StaticHelper;
using Static = SslSock.StaticHelper.SslHelper;

/// <summary>The static helper and its stream.</summary>
static class StaticHelperTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("static: SetSslSocket and DoHandshake", Deferred);
        tests.Add("static: SetSslSocket at once", AtOnce);
        tests.Add("static: a name for it", WithPeerName);
        tests.Add("static: arguments", Arguments);
        tests.Add("static: ValidateCert", ValidateCert);
        tests.Add("stream: read and write", () => Transfer(NetworkStreamOf, ReadWrite));
        tests.Add("stream: BeginRead and BeginWrite", () => Transfer(NetworkStreamOf, BeginEnd));
        tests.Add("stream: asynchronously", () => Transfer(NetworkStreamOf, Asynchronously));
        tests.Add("stream: over a stream that knows only Read and Write", () => Transfer(OnlyReadAndWrite, ReadWrite));
        tests.Add("stream: a hook gets the host and decides", StreamHook);
        tests.Add("stream: a failed handshake closes it", StreamFailure);
        tests.Add("stream: closing delivers", StreamCloseDelivers);
        tests.Add("stream: truncation is an error", StreamTruncation);
        tests.Add("stream: the stream below breaks", StreamBelowBreaks);
        tests.Add("stream: what it supports", StreamSupports);
    }

    private static int Accept(uint type, string host, uint chainLength, IntPtr chain, uint flags)
    {
        return Static.SSL_ERR_OKAY;
    }

    private static void Deferred()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            int calls = 0;
            string seen = "something";
            Static.SetSslSocket(socket, (type, host, length, chain, flags) =>
            {
                calls++;
                seen = host;
                Expect.Equal((uint)Static.SSL_CERT_X59, type, "type");
                Expect.Equal((uint)Static.SSL_CERT_FLAG_ISSUER_UNKNOWN, flags, "flags");
                return Static.SSL_ERR_OKAY;
            }, true);
            Static.DoHandshake(socket);
            Expect.Equal(1, calls, "calls");
            Expect.Equal(null, seen, "host");
            // Nobody has said a name.
            Expect.True((SslSocket.For(socket).VerifyReport.Causes & SslCauses.Name) != 0, "the report says so");
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "it works");
        }
    }

    private static void AtOnce()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            Static.SetSslSocket(socket, Accept, false);
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "it works");
        }
        using (Socket socket = Peers.AfterStartTls())
        {
            var error = Expect.Throws<SslSocketException>(() => Static.SetSslSocket(socket, (a, b, c, d, e) => 3, false));
            Expect.Equal(Static.SSL_ERR_BAD_LEN, error.Code, "code");
            Peers.ExpectDead(socket);
        }
    }

    private static void WithPeerName()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            uint seen = 7;
            Static.SetSslSocket(socket, (type, host, length, chain, flags) => (int)(seen = flags), true);
            SslSocket.For(socket).PeerName = Peers.Name;
            SslSocket.For(socket).AddTrustFile(Peers.Pki("ca.pem"));
            Static.DoHandshake(socket);
            Expect.Equal(0u, seen, "flags");
            Expect.Equal(SslVerdict.Trusted, SslSocket.For(socket).VerifyReport.Verdict);
        }
    }

    private static void Arguments()
    {
        Expect.Throws<ArgumentNullException>(() => Static.SetSslSocket(null, Accept, true));
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            Expect.Throws<ArgumentNullException>(() => Static.SetSslSocket(socket, null, true));
            Expect.Throws<InvalidOperationException>(() => Static.DoHandshake(socket));
        }
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            Expect.Throws<InvalidOperationException>(() => Static.SetSslSocket(socket, Accept, false));
        }
        Expect.Throws<ArgumentNullException>(() => new SslStream(null));
        Expect.Throws<ArgumentOutOfRangeException>(() => new SslStream(new MemoryStream(), 0));
        Expect.Throws<ArgumentNullException>(() => new SslStream(new MemoryStream()).AutentificateAsClient(null));
        Expect.Throws<ArgumentNullException>(() => new SslStream(new MemoryStream()).AutentificateAsClient("a", null));
    }

    private static void ValidateCert()
    {
        Expect.Equal(Static.SSL_ERR_FAILED, Static.ValidateCert(1, Peers.Name, 1, IntPtr.Zero, 0), "outside of a hook");
        ExpectVerdict("serve known", Peers.Name, Static.SSL_ERR_OKAY);
        ExpectVerdict("serve known", null, Static.SSL_ERR_OKAY);
        ExpectVerdict("serve known", "MAIL.test", Static.SSL_ERR_OKAY);
        ExpectVerdict("serve known", "localhost", Static.SSL_ERR_FAILED);
        ExpectVerdict("serve unknown", Peers.Name, Static.SSL_ERR_CERT_UNKNOWN);
    }

    private static void ExpectVerdict(string order, string host, int expected)
    {
        using (Socket socket = Peers.Recorded(order))
        {
            int verdict = -7, wrongType = -7;
            Static.SetSslSocket(socket, (type, none, length, chain, flags) =>
            {
                wrongType = Static.ValidateCert(2, host, length, chain, flags);
                verdict = Static.ValidateCert(type, host, length, chain, flags);
                return Static.SSL_ERR_OKAY;
            }, true);
            SslSocket.For(socket).PeerName = Peers.Name;
            SslSocket.For(socket).AddTrustFile(Peers.Pki("ca.pem"));
            Static.DoHandshake(socket);
            Expect.Equal(expected, verdict, order + " for " + host);
            Expect.Equal(Static.SSL_ERR_BAD_TYPE, wrongType, "wrong type");
        }
    }

    private static Stream NetworkStreamOf(Socket socket)
    {
        return new NetworkStream(socket, true);
    }

    private static Stream OnlyReadAndWrite(Socket socket)
    {
        return new Bare(new NetworkStream(socket, true));
    }

    private static SslStream Begin(Socket socket, string order, Func<Socket, Stream> make = null)
    {
        SslDefaults.AddTrustFile(Peers.Pki("ca.pem"));
        var stream = new SslStream((make ?? NetworkStreamOf)(socket));
        stream.AutentificateAsClient(Peers.Name);
        Expect.Equal(SslVerdict.Trusted, stream.SslSocket.VerifyReport.Verdict);
        byte[] bytes = Encoding.ASCII.GetBytes(order + "\n");
        stream.Write(bytes, 0, bytes.Length);
        return stream;
    }

    /// <summary>Half a megabyte to the peer and back.</summary>
    private static void Transfer(Func<Socket, Stream> make, Func<Stream, byte[], byte[]> transfer)
    {
        var data = new byte[1 << 19];
        new Random(4711).NextBytes(data);
        using (SslStream stream = Begin(Peers.AfterStartTls(), "echo", make))
        {
            Expect.Bytes(data, transfer(stream, data), "what came back");
        }
    }

    private static byte[] ReadWrite(Stream stream, byte[] data)
    {
        Task writing = Task.Run(() => stream.Write(data, 0, data.Length));
        var back = new byte[data.Length];
        for (int count = 0; count < back.Length;)
        {
            int read = stream.Read(back, count, back.Length - count);
            Expect.True(read > 0, "there is more");
            count += read;
        }
        writing.Wait();
        return back;
    }

    private static byte[] BeginEnd(Stream stream, byte[] data)
    {
        var written = new ManualResetEvent(false);
        stream.BeginWrite(data, 0, data.Length, result =>
        {
            stream.EndWrite(result);
            Expect.Equal("state", (string)result.AsyncState);
            written.Set();
        }, "state");
        var back = new byte[data.Length];
        for (int count = 0; count < back.Length;)
        {
            count += stream.EndRead(stream.BeginRead(back, count, back.Length - count, null, null));
        }
        Expect.True(written.WaitOne(30000), "the callback comes");
        return back;
    }

    private static byte[] Asynchronously(Stream stream, byte[] data)
    {
        return AsynchronouslyAsync(stream, data).Result;
    }

    private static async Task<byte[]> AsynchronouslyAsync(Stream stream, byte[] data)
    {
        Task writing = Task.Factory.FromAsync(stream.BeginWrite, stream.EndWrite, data, 0, data.Length, null);
        var back = new byte[data.Length];
        for (int count = 0; count < back.Length;)
        {
            count += await Task<int>.Factory.FromAsync(
                stream.BeginRead, stream.EndRead, back, count, back.Length - count, null).ConfigureAwait(false);
        }
        await writing.ConfigureAwait(false);
        return back;
    }

    private static void StreamHook()
    {
        string seen = null;
        using (var stream = new SslStream(NetworkStreamOf(Peers.Recorded("serve unknown"))))
        {
            stream.AutentificateAsClient(Peers.Name, (type, host, length, chain, flags) =>
            {
                seen = host;
                return Static.ValidateCert(type, host, length, chain, flags) == Static.SSL_ERR_CERT_UNKNOWN ? 0 : 2;
            });
            Expect.Equal(Peers.Name, seen);
        }
        using (var stream = new SslStream(NetworkStreamOf(Peers.Recorded("serve unknown"))))
        {
            var error = Expect.Throws<SslSocketException>(() => stream.AutentificateAsClient(
                Peers.Name, (type, host, length, chain, flags) => { throw new FormatException(); }));
            Expect.Equal(-1, error.Code, "code");
            Expect.True(error.InnerException is FormatException, "it is the InnerException");
        }
    }

    private static void StreamFailure()
    {
        Socket socket = Peers.Recorded("serve unknown");
        var stream = new SslStream(NetworkStreamOf(socket));
        var error = Expect.Throws<SslSocketException>(() => stream.AutentificateAsClient(Peers.Name));
        Expect.Equal(Static.SSL_ERR_CERT_UNKNOWN, error.Code, "code");
        Expect.Equal(false, stream.CanWrite, "CanWrite");
        Expect.Throws<ObjectDisposedException>(() => stream.Write(new byte[1], 0, 1));
        Expect.Throws<ObjectDisposedException>(() => socket.Send(new byte[1]));
    }

    private static void StreamCloseDelivers()
    {
        string ticket = Peers.NewTicket();
        const int Count = 1000000;
        using (SslStream stream = Begin(Peers.AfterStartTls(), "sink " + ticket + " 200"))
        {
            byte[] data = Enumerable.Range(0, Count).Select(i => (byte)(i % 251)).ToArray();
            stream.Write(data, 0, data.Length);
            stream.Close();
            stream.Close();
            Expect.Throws<ObjectDisposedException>(() => stream.Read(data, 0, 1));
        }
        Expect.Equal(Count + " close_notify", Peers.Result(ticket));
    }

    private static void StreamTruncation()
    {
        using (SslStream stream = Begin(Peers.AfterStartTls(), "truncate 1000"))
        {
            var buffer = new byte[2000];
            int count = 0;
            Expect.Throws<IOException>(() =>
            {
                int read;
                while ((read = stream.Read(buffer, 0, 2000)) > 0)
                {
                    count += read;
                }
            });
            Expect.Equal(1000, count, "bytes before it");
            Expect.Equal((int)SslError.Truncated, stream.SslSocket.Error.Code, "code");
        }
    }

    private static void StreamBelowBreaks()
    {
        Bare below = null;
        using (SslStream stream = Begin(
            Peers.AfterStartTls(), "echo", socket => below = new Bare(new NetworkStream(socket, true))))
        {
            below.Broken = new FormatException("broken below");
            stream.Write(new byte[10], 0, 10);
            var error = Expect.Throws<IOException>(() => stream.Read(new byte[10], 0, 10));
            Expect.True(ReferenceEquals(below.Broken, error.InnerException), "it is the InnerException");
        }
    }

    private static void StreamSupports()
    {
        var fresh = new SslStream(new MemoryStream());
        Expect.Equal(false, fresh.CanRead, "CanRead before");
        Expect.Throws<InvalidOperationException>(() => fresh.Read(new byte[1], 0, 1));
        using (SslStream stream = Begin(Peers.AfterStartTls(), "echo"))
        {
            Expect.Equal(true, stream.CanRead, "CanRead");
            Expect.Equal(true, stream.CanWrite, "CanWrite");
            Expect.Equal(false, stream.CanSeek, "CanSeek");
            Expect.Throws<NotSupportedException>(() => stream.Seek(0, SeekOrigin.Begin));
            Expect.Throws<NotSupportedException>(() => stream.SetLength(0));
            Expect.Throws<NotSupportedException>(() => GC.KeepAlive(stream.Length));
            Expect.Throws<NotSupportedException>(() => stream.Position = 0);
            Expect.Throws<InvalidOperationException>(() => stream.AutentificateAsClient(Peers.Name));
            stream.Flush();
            stream.ReadTimeout = 100;
            Expect.Equal(100, stream.ReadTimeout, "ReadTimeout");
            Expect.Throws<IOException>(() => stream.Read(new byte[1], 0, 1));
        }
    }

    /// <summary>As people write streams: what they did not write is the base class's.</summary>
    private sealed class Bare : Stream
    {
        private readonly Stream below;

        internal Bare(Stream below)
        {
            this.below = below;
        }

        internal Exception Broken { get; set; }

        public override bool CanRead
        {
            get { return true; }
        }

        public override bool CanSeek
        {
            get { return false; }
        }

        public override bool CanWrite
        {
            get { return true; }
        }

        public override long Length
        {
            get { throw new NotSupportedException(); }
        }

        public override long Position
        {
            get { throw new NotSupportedException(); }
            set { throw new NotSupportedException(); }
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            return below.Read(buffer, offset, count);
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Broken != null)
            {
                throw Broken;
            }
            below.Write(buffer, offset, count);
        }

        public override long Seek(long offset, SeekOrigin origin)
        {
            throw new NotSupportedException();
        }

        public override void SetLength(long value)
        {
            throw new NotSupportedException();
        }

        protected override void Dispose(bool disposing)
        {
            below.Dispose();
        }
    }
}
