using System;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;

namespace SslSock
{
    /// <summary>
    /// An error of the library. It is a <see cref="SocketException"/>, which programs of old catch, with the Winsock
    /// number that stands for the code; certificate errors have their Windows CE code as that number.
    /// </summary>
    /// <remarks>
    /// After a handshake that has failed the socket is dead: every later Send fails, and Receive returns nothing. It
    /// still has to be closed.
    /// </remarks>
    public class SslSocketException : SocketException
    {
        private static readonly uint SizeOfInfo = (uint)Marshal.SizeOf(typeof(Native.ssl_error_info));

        private readonly int number;

        internal SslSocketException(Native.ssl_error_info info, string text, Exception thrown)
            : base(WinsockError.Of(info.code, info.sys_errno))
        {
            number = WinsockError.Of(info.code, info.sys_errno);
            HookException = thrown;
            SetInner(thrown);
            Code = info.code;
            Category = (SslErrorCategory)info.category;
            Text = text;
            FromHook = info.from_hook != 0;
            TlsAlert = info.tls_alert;
            SystemError = info.sys_errno;
        }

        /// <summary>
        /// One of <see cref="SslError"/>, or the negative value that the certificate hook has chosen.
        /// </summary>
        public int Code { get; }

        /// <summary>What kind of error it is.</summary>
        public SslErrorCategory Category { get; }

        /// <summary>What happened and what to do, with names and dates. What the peer chose in it is escaped.</summary>
        public string Text { get; }

        /// <summary>Whether the certificate hook chose <see cref="Code"/>.</summary>
        public bool FromHook { get; }

        /// <summary>The number of the TLS alert received, or -1.</summary>
        public int TlsAlert { get; }

        /// <summary>The errno of the system call that failed, or 0.</summary>
        public int SystemError { get; }

        /// <summary>
        /// What the program's certificate hook has thrown, which refuses the certificate; null otherwise. It is the
        /// InnerException too.
        /// </summary>
        public Exception HookException { get; }

        /// <summary>
        /// <see cref="Text"/>: what happened and what to do; and what the certificate hook threw, if it did.
        /// </summary>
        public override string Message
        {
            get
            {
                return HookException == null
                    ? Text
                    : Text + "; it threw " + HookException.GetType().Name + ": " + HookException.Message;
            }
        }

        /// <summary>The Winsock number, as <see cref="SocketException.SocketErrorCode"/>, on every runtime.</summary>
        public override int ErrorCode
        {
            get { return number; }
        }

        /// <summary>As "SSL_ERR_TIMEOUT".</summary>
        public string CodeName
        {
            get { return Native.Text(Native.ssl_error_name(Code)); }
        }

        /// <summary>The error of the last call of this thread that failed.</summary>
        internal static SslSocketException OfThisThread(Exception thrown = null)
        {
            return Of(IntPtr.Zero, thrown);
        }

        /// <summary>The error of a handle, which has to be live; zero: of this thread.</summary>
        internal static SslSocketException Of(IntPtr handle, Exception thrown = null)
        {
            var info = new Native.ssl_error_info { size = SizeOfInfo };
            if (Native.ssl_get_error_info(handle, ref info) != 0)
            {
                info.code = (int)SslError.BadHandle;
                info.category = (uint)SslErrorCategory.Usage;
                info.tls_alert = -1;
            }
            string text = CopiedOut.Text((byte[] buffer, UIntPtr capacity, out UIntPtr length) =>
                Native.ssl_get_error_text(handle, buffer, capacity, out length));
            return new SslSocketException(info, text, thrown);
        }

        /// <summary>An error of the binding's own.</summary>
        internal static SslSocketException Of(SslError code, string text)
        {
            var info = new Native.ssl_error_info
            {
                code = (int)code,
                category = Native.ssl_error_category((int)code),
                tls_alert = -1
            };
            return new SslSocketException(info, text, null);
        }

        /// <summary>SocketException has no constructor that takes it.</summary>
        private void SetInner(Exception thrown)
        {
            const BindingFlags Hidden = BindingFlags.Instance | BindingFlags.NonPublic;
            FieldInfo field = typeof(Exception).GetField("_innerException", Hidden);
            if (thrown != null && field != null)
            {
                field.SetValue(this, thrown);
            }
        }
    }
}
