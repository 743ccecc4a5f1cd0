using System;
using System.Net;
using System.Net.Sockets;

namespace SslSock.Compat
{
    /// <summary>
    /// A socket that knows Windows CE's secure-socket options and control codes, for programs that were written for
    /// .NET Compact Framework: with <c>using Socket = SslSock.Compat.Socket;</c> they work as they stand.
    /// </summary>
    /// <remarks>
    /// <para>The order of calls is the one of Windows CE: SO_SECURE, then hook, flags and peer name, then Connect. With
    /// SSL_FLAG_DEFER_HANDSHAKE Connect makes the TCP connection and SO_SSL_PERFORM_HANDSHAKE the handshake; without it
    /// Connect does both, waiting whatever <see cref="System.Net.Sockets.Socket.Blocking"/> says. A program that never
    /// sets SO_SECURE has an ordinary socket.</para>
    /// <para>A socket that has been made secure and is not deferred sends nothing in clear: whoever connects it through
    /// the base type, or by a method that this class does not know, is told that it is connected already, and every
    /// send fails. A failed handshake ends the connection. A connect that fails does not, and can be tried again.</para>
    /// <para>The name that the certificate must be for is the first of these that is given: the one passed to
    /// SO_SSL_PERFORM_HANDSHAKE (as text, or as the address of a text), the one of SO_SSL_SET_PEERNAME or
    /// <see cref="SslSocket.PeerName"/>, the one passed to Connect, <see cref="SslDefaults.PeerName"/>, the name by which the calling thread has last looked up the
    /// address with <see cref="Dns"/>. Without any the handshake goes on only if a hook is set, which then is told
    /// ISSUER_UNKNOWN and decides.</para>
    /// <para>The hook may be the pointer of a delegate to which nothing refers any longer, as programs leave it: it is
    /// kept as long as the socket, and what it throws comes out of the handshake, as its HookException.</para>
    /// <para>The system never sees a control code of the SSL family. Errors are <see cref="SslSocketException"/>.
    /// Threads: as for the base class; only one thread at a time may configure or connect.</para>
    /// </remarks>
    public partial class Socket : System.Net.Sockets.Socket, IImmediateSocket
    {
        private SslSocket secure;
        private SocketState helped;
        private bool hasPeerName;
        private byte[] hook;
        private Delegate hookDelegate;
        private Delegate authRequestDelegate;
        private Delegate signatureDelegate;
        private string connectName;
        private volatile bool isClosed;

        /// <summary>As the base class's constructor.</summary>
        public Socket(AddressFamily addressFamily, SocketType socketType, ProtocolType protocolType)
            : base(addressFamily, socketType, protocolType)
        {
        }

        /// <summary>As the base class's constructor.</summary>
        public Socket(SocketType socketType, ProtocolType protocolType)
            : base(socketType, protocolType)
        {
        }

        /// <summary>As the base class's constructor.</summary>
        public Socket(SocketInformation socketInformation)
            : base(socketInformation)
        {
        }

        /// <summary>The peer's address on the real connection, also after a handshake.</summary>
        public new EndPoint RemoteEndPoint
        {
            get
            {
                SslSocket known = SocketState.Of(this).SslSocket;
                return known == null || !known.IsSecure ? base.RemoteEndPoint : known.RemoteEndPoint;
            }
        }

        /// <summary>This side's address on the real connection, also after a handshake.</summary>
        public new EndPoint LocalEndPoint
        {
            get
            {
                SslSocket known = SocketState.Of(this).SslSocket;
                return known == null || !known.IsSecure ? base.LocalEndPoint : known.LocalEndPoint;
            }
        }

        /// <summary>Sets an option; SO_SECURE is the library's.</summary>
        public new void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, int optionValue)
        {
            if (IsSecureOption(optionLevel, optionName))
            {
                SetSecure(optionValue);
                return;
            }
            base.SetSocketOption(optionLevel, optionName, optionValue);
        }

        /// <summary>Sets an option. SO_SECURE takes no truth value.</summary>
        public new void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, bool optionValue)
        {
            if (IsSecureOption(optionLevel, optionName))
            {
                SetSecure(optionValue ? 1 : 0);
                return;
            }
            base.SetSocketOption(optionLevel, optionName, optionValue);
        }

        /// <summary>Sets an option; SO_SECURE takes two or four bytes.</summary>
        public new void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, byte[] optionValue)
        {
            if (IsSecureOption(optionLevel, optionName))
            {
                SetSecure(ToInt32(optionValue));
                return;
            }
            base.SetSocketOption(optionLevel, optionName, optionValue);
        }

        /// <summary>Sets an option; SO_SECURE takes an integer or its bytes.</summary>
        public new void SetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, object optionValue)
        {
            if (IsSecureOption(optionLevel, optionName))
            {
                SetSecure(ToInt32(optionValue));
                return;
            }
            base.SetSocketOption(optionLevel, optionName, optionValue);
        }

        /// <summary>Gets an option; for SO_SECURE what was set.</summary>
        public new object GetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName)
        {
            return IsSecureOption(optionLevel, optionName)
                ? SecureOption
                : base.GetSocketOption(optionLevel, optionName);
        }

        /// <summary>Gets an option as bytes; for SO_SECURE what was set, in four bytes.</summary>
        public new void GetSocketOption(SocketOptionLevel optionLevel, SocketOptionName optionName, byte[] optionValue)
        {
            if (!IsSecureOption(optionLevel, optionName))
            {
                base.GetSocketOption(optionLevel, optionName, optionValue);
                return;
            }
            if (optionValue == null || optionValue.Length < sizeof(int))
            {
                throw new SocketException((int)SocketError.Fault);
            }
            BitConverter.GetBytes(SecureOption).CopyTo(optionValue, 0);
        }

        /// <summary>Gets an option as bytes; for SO_SECURE what was set, in four bytes.</summary>
        public new byte[] GetSocketOption(
            SocketOptionLevel optionLevel, SocketOptionName optionName, int optionLength)
        {
            if (!IsSecureOption(optionLevel, optionName))
            {
                return base.GetSocketOption(optionLevel, optionName, optionLength);
            }
            if (optionLength < sizeof(int))
            {
                throw new SocketException((int)SocketError.Fault);
            }
            return BitConverter.GetBytes(SecureOption);
        }

        /// <summary>
        /// Performs a control code: one of the SSL family by the library, never by the system, any other by the base
        /// class.
        /// </summary>
        /// <param name="ioControlCode">The code.</param>
        /// <param name="optionInValue">The input, or null. A pointer in it is as wide as the process's.</param>
        /// <param name="optionOutValue">The output, or null; codes that answer nothing leave it alone.</param>
        /// <returns>How many bytes of output there are.</returns>
        /// <exception cref="SslSocketException">It failed. After a failed handshake the connection is dead.</exception>
        public new int IOControl(int ioControlCode, byte[] optionInValue, byte[] optionOutValue)
        {
            uint code = unchecked((uint)ioControlCode);
            return SecureSockets.IsOurs(code)
                ? Control(code, optionInValue, optionOutValue)
                : base.IOControl(ioControlCode, optionInValue, optionOutValue);
        }

        /// <summary>As <see cref="IOControl(int, byte[], byte[])"/>.</summary>
        public new int IOControl(IOControlCode ioControlCode, byte[] optionInValue, byte[] optionOutValue)
        {
            uint code = unchecked((uint)(long)ioControlCode);
            return SecureSockets.IsOurs(code)
                ? Control(code, optionInValue, optionOutValue)
                : base.IOControl(ioControlCode, optionInValue, optionOutValue);
        }

        void IImmediateSocket.Secure(SocketState state)
        {
            SetSecure(SecureSockets.SO_SEC_SSL);
            // SslDefaults may defer: this helper does not.
            secure.Flags &= ~SslFlags.DeferHandshake;
            helped = state;
        }

        /// <summary>Closes the socket.</summary>
        /// <param name="disposing">Whether it is the program's doing.</param>
        protected override void Dispose(bool disposing)
        {
            isClosed = true;
            base.Dispose(disposing);
        }

        private int SecureOption => secure == null ? SecureSockets.SO_SEC_NONE : SecureSockets.SO_SEC_SSL;

        private bool IsDeferred => (secure.Flags & SslFlags.DeferHandshake) != 0;

        private void RefuseOnceConnected(string text)
        {
            if (Connected || connecting != 0)
            {
                throw SslSocketException.Of(SslError.State, text);
            }
        }

        private static bool IsSecureOption(SocketOptionLevel level, SocketOptionName name)
        {
            return level == SocketOptionLevel.Socket && (int)name == SecureSockets.SO_SECURE;
        }

        private static int ToInt32(object value)
        {
            byte[] bytes = value as byte[];
            if (bytes == null)
            {
                IConvertible number = value as IConvertible
                    ?? throw new ArgumentException("SO_SECURE takes an integer or its bytes", "optionValue");
                return number.ToInt32(null);
            }
            switch (bytes.Length)
            {
                case sizeof(ushort):
                    return BitConverter.ToUInt16(bytes, 0);
                case sizeof(int):
                    return BitConverter.ToInt32(bytes, 0);
                default:
                    throw new SocketException((int)SocketError.Fault);
            }
        }

        private void SetSecure(int value)
        {
            switch (value)
            {
                case SecureSockets.SO_SEC_SSL:
                    if (secure == null)
                    {
                        RefuseOnceConnected(
                            "SO_SECURE has to be set before Connect, as on Windows CE. To turn a connected socket " +
                            "into TLS use new SslHelper(socket, host, true) and its DoHandshake.");
                        secure = SslSocket.Secure(this);
                    }
                    break;
                case SecureSockets.SO_SEC_NONE:
                    if (secure != null)
                    {
                        RefuseOnceConnected(
                            "a secure socket stays secure once it has been connected: close it and make another.");
                        SslSocket released = secure;
                        secure = null;
                        hook = null;
                        hookDelegate = null;
                        connectName = null;
                        hasPeerName = false;
                        released.Hold(false);
                        released.Dispose();
                    }
                    break;
                default:
                    throw new SocketException((int)SocketError.InvalidArgument);
            }
        }
    }
}
