using System;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        private const uint AddressOfPeer = 1;
        private const uint AddressOfThisSide = 2;

        private static readonly Native.ssl_log_fn LogCallback = Log;
        private static volatile Action<SslLogLevel, string> log;

        /// <summary>The version of the library, as "0.1.0".</summary>
        public static string Version
        {
            get
            {
                NativeLoader.Load();
                return ReadVersion();
            }
        }

        /// <summary>
        /// The version of the library's ABI: major &lt;&lt; 16 | minor. It was compared when it was loaded.
        /// </summary>
        public static int AbiVersion
        {
            get
            {
                NativeLoader.Load();
                return ReadAbiVersion();
            }
        }

        /// <summary>
        /// How many bytes can be received at once: in explicit mode those that Poll does not see, otherwise those in the
        /// socket's queue.
        /// </summary>
        public long Pending
        {
            get
            {
                UIntPtr bytes;
                Check(Native.ssl_pending(this, out bytes));
                return (long)bytes;
            }
        }

        /// <summary>The real peer, also after the upgrade.</summary>
        /// <exception cref="SslSocketException">The socket is not connected.</exception>
        public EndPoint RemoteEndPoint
        {
            get { return remote ?? Address(AddressOfPeer); }
        }

        /// <summary>This side of the real connection, also after the upgrade.</summary>
        public EndPoint LocalEndPoint
        {
            get { return local ?? Address(AddressOfThisSide); }
        }

        /// <summary>What was agreed in the handshake.</summary>
        /// <exception cref="SslSocketException">Code State: it has not been made.</exception>
        public SessionInfo SessionInfo
        {
            get
            {
                var info = new Native.ssl_session_info { size = (uint)Marshal.SizeOf(typeof(Native.ssl_session_info)) };
                Check(Native.ssl_get_session_info(this, ref info));
                return new SessionInfo(info);
            }
        }

        /// <summary>Server: the name that the client has asked for (SNI); empty if it did not say.</summary>
        /// <exception cref="SslSocketException">Code State: before the end of the handshake, and in a client.</exception>
        public string ServerName
        {
            get
            {
                return CopiedOut.Text((byte[] buffer, UIntPtr capacity, out UIntPtr length) =>
                    Native.ssl_get_server_name(this, buffer, capacity, out length));
            }
        }

        /// <summary>What verification found, also after a failed handshake and inside the certificate hook.</summary>
        /// <exception cref="SslSocketException">Code State: no certificate has been seen yet.</exception>
        public VerifyReport VerifyReport
        {
            get
            {
                var report = new Native.ssl_verify_report
                {
                    size = (uint)Marshal.SizeOf(typeof(Native.ssl_verify_report))
                };
                Check(Native.ssl_get_verify_report(this, ref report));
                return new VerifyReport(report);
            }
        }

        /// <summary>
        /// The error that ended the connection, which stays for the life of the handle; else that of the last call that
        /// failed. Null if there is none.
        /// </summary>
        public SslSocketException Error
        {
            get
            {
                bool added = false;
                try
                {
                    DangerousAddRef(ref added);
                    SslSocketException error = SslSocketException.Of(handle);
                    return error.Code == 0 ? null : error;
                }
                finally
                {
                    if (added)
                    {
                        DangerousRelease();
                    }
                }
            }
        }

        /// <summary>
        /// A duplicate of the real connection, for its options and for waiting on it. Ask after the handshake has begun.
        /// </summary>
        /// <returns>The descriptor, which the caller disposes.</returns>
        public SslTransportDescriptor GetTransportDescriptor()
        {
            int descriptor;
            Check(Native.ssl_get_transport_fd(this, out descriptor));
            return new SslTransportDescriptor(descriptor);
        }

        /// <summary>A certificate of the peer's chain, in DER.</summary>
        /// <param name="index">0 is the peer's own; there are <see cref="VerifyReport.ChainLength"/>.</param>
        /// <returns>The certificate's bytes.</returns>
        public byte[] GetPeerCertificate(int index = 0)
        {
            return CopiedOut.Bytes((byte[] buffer, UIntPtr capacity, out UIntPtr length) =>
                Native.ssl_get_peer_certificate(this, checked((uint)index), buffer, capacity, out length));
        }

        /// <summary>A text about the peer's certificate. What the peer chose in it is escaped.</summary>
        /// <param name="what">Which one.</param>
        /// <param name="index">Which of the presented names; 0 for the others.</param>
        /// <returns>The text.</returns>
        /// <exception cref="SslSocketException">Code Invalid: there are fewer names.</exception>
        public string GetVerifyText(SslVerifyText what, int index = 0)
        {
            return CopiedOut.Text((byte[] buffer, UIntPtr capacity, out UIntPtr length) =>
                Native.ssl_get_verify_text(this, (uint)what, checked((uint)index), buffer, capacity, out length));
        }

        /// <summary>Has messages up to a level given to a callback. It is off until this is called.</summary>
        /// <param name="level">The level.</param>
        /// <param name="callback">
        /// Called on the threads that call the library; what it throws is dropped. Null ends the logging. It is kept
        /// until another one is set.
        /// </param>
        public static void SetLogCallback(SslLogLevel level, Action<SslLogLevel, string> callback)
        {
            NativeLoader.Load();
            SetLog(level, callback);
        }

        // As to why these are apart see FindOrNew.

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static string ReadVersion()
        {
            return Native.Text(Native.ssl_version());
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int ReadAbiVersion()
        {
            return (int)Native.ssl_abi_version();
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void SetLog(SslLogLevel level, Action<SslLogLevel, string> callback)
        {
            log = callback;
            Check(Native.ssl_set_log_callback((uint)level, callback == null ? null : LogCallback, IntPtr.Zero));
        }

        private static void Log(IntPtr arg, uint level, IntPtr message)
        {
            try
            {
                Action<SslLogLevel, string> callback = log;
                if (callback != null)
                {
                    callback((SslLogLevel)level, Native.Text(message));
                }
            }
            catch (Exception)
            {
                // It may not pass through the library, and a log is no reason to end anything.
            }
        }

        private EndPoint Address(uint which)
        {
            var address = new byte[SocketAddresses.Capacity];
            uint length = SocketAddresses.Capacity;
            Check(Native.ssl_get_address(this, which, address, ref length));
            return SocketAddresses.Read(address, (int)length);
        }
    }
}
