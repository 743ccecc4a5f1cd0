using System;
using System.Collections.Concurrent;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        /// <summary>Every name that a hook may have the pointer of.</summary>
        private readonly ConcurrentBag<AsciiHost> kept = new ConcurrentBag<AsciiHost>();

        /// <summary>The flags; what is set replaces the earlier ones. Before the handshake.</summary>
        /// <exception cref="SslSocketException">
        /// Code Invalid: an unknown flag. Unsupported: one that is not built yet. State: the handshake has begun.
        /// </exception>
        public SslFlags Flags
        {
            get
            {
                uint flags;
                Check(Native.ssl_get_flags(this, out flags));
                return (SslFlags)flags;
            }
            set { Check(Native.ssl_set_flags(this, (uint)value)); }
        }

        /// <summary>
        /// The name that the peer's certificate must be for, and that the peer is told (SNI): a DNS name or an IP
        /// literal, as it was set here; null if it was not. Before the handshake.
        /// </summary>
        /// <exception cref="SslSocketException">Code Invalid: not a name. NoName: it is empty.</exception>
        public string PeerName
        {
            get { return peerName; }
            set
            {
                Check(Native.ssl_set_peername(this, Native.Utf8(value, nameof(value))));
                peerName = value;
            }
        }

        /// <summary>Sets a time limit. Before the handshake.</summary>
        /// <param name="which">Which one.</param>
        /// <param name="milliseconds">Milliseconds, not 0; Timeout.Infinite: no limit.</param>
        public void SetTimeout(SslTimeout which, int milliseconds)
        {
            Check(Native.ssl_set_timeout(this, (uint)which, Milliseconds(milliseconds, nameof(milliseconds))));
        }

        /// <summary>
        /// Trusts the CA certificates in a PEM file. The first trust call replaces the built-in roots, later ones add.
        /// Before the handshake.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <exception cref="SslSocketException">
        /// Code Io: it cannot be read. BadData: there is no usable certificate in it. Until a trust call succeeds every
        /// handshake fails with the same error.
        /// </exception>
        public void AddTrustFile(string path)
        {
            Check(Native.ssl_add_trust_file(this, Needed(path, nameof(path))));
        }

        /// <summary>Trusts the CA certificates in PEM, as <see cref="AddTrustFile"/> does.</summary>
        /// <param name="pem">The PEM text.</param>
        /// <exception cref="SslSocketException">Code BadData: there is no usable certificate in it.</exception>
        public void AddTrustPem(byte[] pem)
        {
            CheckPem(pem, nameof(pem));
            Check(Native.ssl_add_trust_pem(this, pem, (UIntPtr)(uint)pem.Length));
        }

        /// <summary>Trusts what the system trusts, as <see cref="AddTrustFile"/> does.</summary>
        /// <exception cref="SslSocketException">Code Io: the system has no CA certificates.</exception>
        public void UseSystemTrust()
        {
            Check(Native.ssl_use_system_trust(this));
        }

        /// <summary>
        /// Sets the certificate chain and private key of this side. A server needs one. Before the handshake.
        /// </summary>
        /// <param name="chain">PEM, leaf first.</param>
        /// <param name="key">PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.</param>
        /// <exception cref="SslSocketException">
        /// Code BadData: they cannot be used, or do not belong together.
        /// </exception>
        public void SetIdentityPem(byte[] chain, byte[] key)
        {
            CheckPem(chain, nameof(chain));
            CheckPem(key, nameof(key));
            Check(Native.ssl_set_identity_pem(
                this, chain, (UIntPtr)(uint)chain.Length, key, (UIntPtr)(uint)key.Length));
        }

        /// <summary><see cref="SetIdentityPem"/> with the contents of two files, which may be the same.</summary>
        /// <param name="chainPath">The file with the chain.</param>
        /// <param name="keyPath">The file with the key.</param>
        /// <exception cref="SslSocketException">Code Io: one cannot be read.</exception>
        public void SetIdentityFile(string chainPath, string keyPath)
        {
            byte[] chain = Needed(chainPath, nameof(chainPath));
            Check(Native.ssl_set_identity_file(this, chain, Needed(keyPath, nameof(keyPath))));
        }

        /// <summary>Sets the name and keeps it for hooks that get its pointer.</summary>
        internal void SetPeerName(AsciiHost host)
        {
            PeerName = host.Name;
            kept.Add(host);
        }

        private static byte[] Needed(string text, string parameter)
        {
            if (text == null)
            {
                throw new ArgumentNullException(parameter);
            }
            return Native.Utf8(text, parameter);
        }

        private static void CheckPem(byte[] pem, string parameter)
        {
            if (pem == null)
            {
                throw new ArgumentNullException(parameter);
            }
        }
    }
}
