using System;
using System.Threading;

namespace SslSock
{
    /// <summary>
    /// Settings with which the handles of sockets begin that are made later: for programs that do not set them socket
    /// by socket. Any thread. Errors as for <see cref="SslSocket"/>.
    /// </summary>
    public static class SslDefaults
    {
        private static readonly Lazy<SslSocket> Defaults =
            new Lazy<SslSocket>(SslSocket.OfDefaults, LazyThreadSafetyMode.PublicationOnly);

        private static volatile string peerNameOfNew;

        /// <summary>The flags; what is set replaces the earlier ones.</summary>
        public static SslFlags Flags
        {
            get { return Defaults.Value.Flags; }
            set { Defaults.Value.Flags = value; }
        }

        /// <summary>The peer's name, for programs that talk to one peer only.</summary>
        public static string PeerName
        {
            get { return peerNameOfNew; }
            set
            {
                Defaults.Value.PeerName = value;
                peerNameOfNew = value;
            }
        }

        internal static string PeerNameOfNew
        {
            get { return peerNameOfNew; }
        }

        /// <summary>Sets a time limit.</summary>
        /// <param name="which">Which one.</param>
        /// <param name="milliseconds">Milliseconds, not 0; Timeout.Infinite: no limit.</param>
        public static void SetTimeout(SslTimeout which, int milliseconds)
        {
            Defaults.Value.SetTimeout(which, milliseconds);
        }

        /// <summary>
        /// Trusts the CA certificates in a file, PEM or DER. The first trust call replaces the built-in roots, later ones add.
        /// </summary>
        /// <param name="path">The file.</param>
        public static void AddTrustFile(string path)
        {
            Defaults.Value.AddTrustFile(path);
        }

        /// <summary>Trusts the CA certificates in PEM, as <see cref="AddTrustFile"/> does.</summary>
        /// <param name="pem">The PEM text.</param>
        public static void AddTrustPem(byte[] pem)
        {
            Defaults.Value.AddTrustPem(pem);
        }

        /// <summary>Trusts what the system trusts, as <see cref="AddTrustFile"/> does.</summary>
        public static void UseSystemTrust()
        {
            Defaults.Value.UseSystemTrust();
        }

        /// <summary>Sets the application protocols: see <see cref="SslSocket.SetAlpn"/>.</summary>
        /// <param name="protocols">Most wanted first; none: no ALPN.</param>
        public static void SetAlpn(params string[] protocols)
        {
            Defaults.Value.SetAlpn(protocols);
        }

        /// <summary>Sets the oldest and the newest version of TLS that are allowed.</summary>
        /// <param name="min">The oldest.</param>
        /// <param name="max">The newest.</param>
        public static void SetProtocols(TlsVersion min, TlsVersion max)
        {
            Defaults.Value.SetProtocols(min, max);
        }

        /// <summary>Appends the secrets of sessions to a file: see <see cref="SslSocket.SetKeyLogFile"/>.</summary>
        /// <param name="path">The file; null: none.</param>
        public static void SetKeyLogFile(string path)
        {
            Defaults.Value.SetKeyLogFile(path);
        }

        /// <summary>Trusts the CA certificates in a folder, as <see cref="AddTrustFile"/> does.</summary>
        /// <param name="path">The folder.</param>
        public static void AddTrustDirectory(string path)
        {
            Defaults.Value.AddTrustDirectory(path);
        }

        /// <summary>Adds pins: see <see cref="SslSocket.AddPin(string)"/>.</summary>
        /// <param name="pin">One or several; null clears them all.</param>
        public static void AddPin(string pin)
        {
            Defaults.Value.AddPin(pin);
        }

        /// <summary>Adds pins: see <see cref="SslSocket.AddPin(byte[])"/>.</summary>
        /// <param name="spkiSha256">The 32 bytes.</param>
        public static void AddPin(byte[] spkiSha256)
        {
            Defaults.Value.AddPin(spkiSha256);
        }

        /// <summary>Adds the revocation lists in a file: see <see cref="SslSocket.AddCrlFile"/>.</summary>
        /// <param name="path">The file.</param>
        public static void AddCrlFile(string path)
        {
            Defaults.Value.AddCrlFile(path);
        }

        /// <summary>Adds revocation lists: see <see cref="SslSocket.AddCrlPem"/>.</summary>
        /// <param name="crl">The lists.</param>
        public static void AddCrlPem(byte[] crl)
        {
            Defaults.Value.AddCrlPem(crl);
        }

        /// <summary>Sets the certificate chain and private key of this side.</summary>
        /// <param name="chain">PEM or DER, leaf first.</param>
        /// <param name="key">PEM or DER, not encrypted.</param>
        public static void SetIdentityPem(byte[] chain, byte[] key)
        {
            Defaults.Value.SetIdentityPem(chain, key);
        }

        /// <summary><see cref="SetIdentityPem"/> with the contents of two files, which may be the same.</summary>
        /// <param name="chainPath">The file with the chain.</param>
        /// <param name="keyPath">The file with the key.</param>
        public static void SetIdentityFile(string chainPath, string keyPath)
        {
            Defaults.Value.SetIdentityFile(chainPath, keyPath);
        }

        /// <summary>Adds a further identity: see <see cref="SslSocket.AddIdentityPem"/>.</summary>
        /// <param name="chain">PEM or DER, leaf first.</param>
        /// <param name="key">PEM or DER, not encrypted.</param>
        public static void AddIdentityPem(byte[] chain, byte[] key)
        {
            Defaults.Value.AddIdentityPem(chain, key);
        }

        /// <summary><see cref="AddIdentityPem"/> with the contents of two files, which may be the same.</summary>
        /// <param name="chainPath">The file with the chain.</param>
        /// <param name="keyPath">The file with the key.</param>
        public static void AddIdentityFile(string chainPath, string keyPath)
        {
            Defaults.Value.AddIdentityFile(chainPath, keyPath);
        }

        /// <summary>Sets a chain whose key is elsewhere: see <see cref="SslSocket.SetIdentitySigner"/>.</summary>
        /// <param name="chain">PEM or DER, leaf first.</param>
        /// <param name="signer">Signs with the key; it is kept as long as the process lives.</param>
        public static void SetIdentitySigner(byte[] chain, SslSigner signer)
        {
            Defaults.Value.SetIdentitySigner(chain, signer);
        }

        /// <summary>
        /// Sets the hook that chooses a client certificate: see <see cref="SslSocket.SetAuthRequestHook"/>.
        /// </summary>
        /// <param name="callback">The hook, which is kept as long as the process lives; null: none.</param>
        public static void SetAuthRequestHook(SslAuthRequest callback)
        {
            Defaults.Value.SetAuthRequestHook(callback);
        }

        /// <summary>Sets the certificate hook: see <see cref="SslSocket.SetValidateCertHook"/>.</summary>
        /// <param name="callback">The hook, which is kept as long as the process lives; null: none.</param>
        /// <param name="argument">Handed to the hook as pvArg, untouched.</param>
        public static void SetValidateCertHook(SslHelper.SSLVALIDATECERTFUNC callback, IntPtr argument = default(IntPtr))
        {
            Defaults.Value.SetDefaultValidateCertHook(callback, argument);
        }
    }
}
