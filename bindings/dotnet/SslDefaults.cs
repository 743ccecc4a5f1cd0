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
        /// Trusts the CA certificates in a PEM file. The first trust call replaces the built-in roots, later ones add.
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

        /// <summary>Sets the certificate chain and private key of this side.</summary>
        /// <param name="chain">PEM, leaf first.</param>
        /// <param name="key">PEM, not encrypted.</param>
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

        /// <summary>Sets the certificate hook: see <see cref="SslSocket.SetValidateCertHook"/>.</summary>
        /// <param name="callback">The hook, which is kept as long as the process lives; null: none.</param>
        /// <param name="argument">Handed to the hook as pvArg, untouched.</param>
        public static void SetValidateCertHook(SslHelper.SSLVALIDATECERTFUNC callback, IntPtr argument = default(IntPtr))
        {
            Defaults.Value.SetDefaultValidateCertHook(callback, argument);
        }
    }
}
