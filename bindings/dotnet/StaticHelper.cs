using System;
using System.Net.Sockets;

namespace SslSock.StaticHelper
{
    /// <summary>A certificate hook that gets the host name as a string.</summary>
    /// <param name="type">1: the certificate is X.509 in DER.</param>
    /// <param name="host">The host's name; null in a handshake that was set up by SetSslSocket.</param>
    /// <param name="chainLength">1: how many certificates there are.</param>
    /// <param name="certificateChain">The peer's certificate: see SslSock.SslHelper.SSLVALIDATECERTFUNC.</param>
    /// <param name="flags">1 if anything is wrong.</param>
    /// <returns>0 accepts the certificate, whatever is wrong with it; anything else refuses.</returns>
    public delegate int DRemoteCertificateValidation(
        uint type, string host, uint chainLength, IntPtr certificateChain, uint flags);

    /// <summary>
    /// The static form of the helper that some programs of Windows CE have: with it and <see cref="SslStream"/> they
    /// compile as they are. New programs use SslSock.SslHelper.
    /// </summary>
    public static class SslHelper
    {
        /// <summary>The certificates are X.509 in DER.</summary>
        public const int SSL_CERT_X59 = 1;
        /// <summary>Accept the certificate.</summary>
        public const int SSL_ERR_OKAY = 0;
        /// <summary>Refused without a particular reason.</summary>
        public const int SSL_ERR_FAILED = 2;
        /// <summary>Wrong length.</summary>
        public const int SSL_ERR_BAD_LEN = 3;
        /// <summary>Not an X.509 certificate.</summary>
        public const int SSL_ERR_BAD_TYPE = 4;
        /// <summary>The certificate cannot be read as such.</summary>
        public const int SSL_ERR_BAD_DATA = 5;
        /// <summary>There is no certificate.</summary>
        public const int SSL_ERR_NO_CERT = 6;
        /// <summary>A signature is wrong.</summary>
        public const int SSL_ERR_BAD_SIG = 7;
        /// <summary>The certificate has expired.</summary>
        public const int SSL_ERR_CERT_EXPIRED = 8;
        /// <summary>The certificate has been revoked.</summary>
        public const int SSL_ERR_CERT_REVOKED = 9;
        /// <summary>The issuer is not trusted.</summary>
        public const int SSL_ERR_CERT_UNKNOWN = 10;
        /// <summary>Signature.</summary>
        public const int SSL_ERR_SIGNATURE = 11;
        /// <summary>In a hook's flags: something is wrong.</summary>
        public const int SSL_CERT_FLAG_ISSUER_UNKNOWN = 1;

        /// <summary>Says that a socket is to become TLS, and who decides about the peer's certificate.</summary>
        /// <param name="socket">A connected socket; it may be connected later if the handshake is deferred.</param>
        /// <param name="certificateValidationHook">
        /// The hook. Nobody has said the host's name, so the library cannot check it and says that something is wrong;
        /// with SslSocket.For(socket).PeerName or SslDefaults.PeerName it can, and the peer is told the name.
        /// </param>
        /// <param name="deferHandshake">True: the socket stays plain until <see cref="DoHandshake"/>.</param>
        /// <exception cref="ArgumentNullException">Something is null.</exception>
        /// <exception cref="InvalidOperationException">
        /// The socket is not connected, and the handshake not deferred.
        /// </exception>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        public static void SetSslSocket(
            Socket socket, DRemoteCertificateValidation certificateValidationHook, bool deferHandshake)
        {
            SocketState state = SocketState.Of(socket);
            state.Require(certificateValidationHook, nameof(certificateValidationHook), deferHandshake);
            SslSock.SslHelper.SSLVALIDATECERTFUNC hook = WithHost(certificateValidationHook, null);
            if (deferHandshake)
            {
                state.Defer(null, hook);
            }
            else
            {
                state.Begin(null, hook);
            }
        }

        /// <summary>Turns the connected socket into TLS, now, and returns when that is done.</summary>
        /// <param name="socket">A socket for which SetSslSocket has been called.</param>
        /// <exception cref="ArgumentNullException"><paramref name="socket"/> is null.</exception>
        /// <exception cref="InvalidOperationException">
        /// SetSslSocket has not been called, and the socket is dead.
        /// </exception>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        public static void DoHandshake(Socket socket)
        {
            SocketState.Find(socket).Handshake();
        }

        /// <summary>
        /// The library's own verdict on the certificate that the hook on this thread has been asked about, for hooks that
        /// want no more than that. It is stricter than what it replaces, which accepted any issuer.
        /// </summary>
        /// <param name="dwType">As the hook got it.</param>
        /// <param name="host">
        /// The host's name, which has to be the one that the handshake is made for; null: no further name.
        /// </param>
        /// <param name="dwChainLen">As the hook got it.</param>
        /// <param name="pCertChain">As the hook got it.</param>
        /// <param name="dwFlags">As the hook got it.</param>
        /// <returns>SSL_ERR_OKAY, or what is wrong; SSL_ERR_FAILED for another name and outside of a hook.</returns>
        public static int ValidateCert(uint dwType, string host, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
        {
            if (dwType != SSL_CERT_X59)
            {
                return SSL_ERR_BAD_TYPE;
            }
            HandshakeScope scope = HandshakeScope.OfThisThread;
            if (scope == null)
            {
                return SSL_ERR_FAILED;
            }
            int verdict = SslSock.SslHelper.OwnVerdict();
            if (verdict == SSL_ERR_OKAY && !string.IsNullOrEmpty(host) && !IsName(scope.Socket, host))
            {
                return SSL_ERR_FAILED;
            }
            return verdict;
        }

        internal static SslSock.SslHelper.SSLVALIDATECERTFUNC WithHost(DRemoteCertificateValidation hook, string host)
        {
            return (type, argument, chainLength, chain, flags) => hook(type, host, chainLength, chain, flags);
        }

        private static bool IsName(SslSocket socket, string host)
        {
            string expected = socket.GetVerifyText(SslVerifyText.Expected);
            return string.Equals(AsciiHost.Ascii(host), expected, StringComparison.OrdinalIgnoreCase);
        }
    }
}
