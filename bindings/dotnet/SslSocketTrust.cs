using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        /// <summary>
        /// Trusts the CA certificates in a file, PEM or DER. The first trust call replaces the built-in roots, later ones add.
        /// Before the handshake.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <exception cref="SslSocketException">
        /// Code Io: it cannot be read. BadData: there is no usable certificate in it. Until a trust call succeeds every
        /// handshake fails with the same error.
        /// </exception>
        public void AddTrustFile(string path)
        {
            byte[] name = Needed(path, nameof(path));
            Apply(socket => Check(Native.ssl_add_trust_file(socket, name)));
        }

        /// <summary>Trusts the CA certificates in PEM, as <see cref="AddTrustFile"/> does.</summary>
        /// <param name="pem">The PEM text, or one certificate in DER.</param>
        /// <exception cref="SslSocketException">Code BadData: there is no usable certificate in it.</exception>
        public void AddTrustPem(byte[] pem)
        {
            byte[] copy = Copied(pem, nameof(pem));
            Apply(socket => Check(Native.ssl_add_trust_pem(socket, copy, (UIntPtr)(uint)copy.Length)));
        }

        /// <summary>
        /// Trusts the CA certificates in every file of a folder, as <see cref="AddTrustFile"/> does. Files that hold none
        /// are passed over, folders in it too.
        /// </summary>
        /// <param name="path">The folder.</param>
        /// <exception cref="SslSocketException">
        /// Code Io: it cannot be read. BadData: there is no usable certificate in it.
        /// </exception>
        public void AddTrustDirectory(string path)
        {
            byte[] name = Needed(path, nameof(path));
            Apply(socket => Check(Native.ssl_add_trust_dir(socket, name)));
        }

        /// <summary>Trusts what the system trusts, as <see cref="AddTrustFile"/> does.</summary>
        /// <exception cref="SslSocketException">Code Io: the system has no CA certificates.</exception>
        public void UseSystemTrust()
        {
            Apply(socket => Check(Native.ssl_use_system_trust(socket)));
        }

        /// <summary>
        /// Adds pins: the handshake fails with the code Pin unless the key of the peer's own certificate is one of those
        /// pinned. They come on top of the trust, and no hook can accept another key. Before the handshake.
        /// </summary>
        /// <param name="pin">
        /// The SHA-256 of its SubjectPublicKeyInfo as "sha256//" and base64, or as 64 hexadecimal digits; several
        /// separated by ';'. Null clears them all.
        /// </param>
        /// <exception cref="SslSocketException">Code Invalid: it is no such thing.</exception>
        public void AddPin(string pin)
        {
            byte[] text = Native.Utf8(pin, nameof(pin));
            Apply(socket => Check(Native.ssl_add_pin(socket, text)));
        }

        /// <summary><see cref="AddPin(string)"/> with a hash as <see cref="VerifyReport.GetSpkiSha256"/> gives it.</summary>
        /// <param name="spkiSha256">The 32 bytes.</param>
        public void AddPin(byte[] spkiSha256)
        {
            if (spkiSha256 == null)
            {
                throw new ArgumentNullException(nameof(spkiSha256));
            }
            AddPin(BitConverter.ToString(spkiSha256).Replace("-", ""));
        }

        /// <summary>
        /// Adds the revocation lists in a file, PEM or DER. From the first on the peer's own certificate must be covered
        /// by a list of its issuer that is up to date, and no certificate of the chain may be on one. Before the
        /// handshake.
        /// </summary>
        /// <param name="path">The file.</param>
        /// <exception cref="SslSocketException">
        /// Code Io: it cannot be read. BadData: there is no list in it. Until one is added every handshake fails with
        /// the same error.
        /// </exception>
        public void AddCrlFile(string path)
        {
            byte[] name = Needed(path, nameof(path));
            Apply(socket => Check(Native.ssl_add_crl_file(socket, name)));
        }

        /// <summary>Adds the revocation lists in PEM or DER, as <see cref="AddCrlFile"/> does.</summary>
        /// <param name="crl">The lists.</param>
        /// <exception cref="SslSocketException">Code BadData: there is no list in it.</exception>
        public void AddCrlPem(byte[] crl)
        {
            byte[] copy = Copied(crl, nameof(crl));
            Apply(socket => Check(Native.ssl_add_crl_pem(socket, copy, (UIntPtr)(uint)copy.Length)));
        }

        /// <summary>
        /// Verifies a chain without a connection, as a handshake would, by this handle's trust, pins and revocation lists.
        /// With <see cref="SslFlags.Server"/> it is that of a client.
        /// </summary>
        /// <param name="chain">The certificates in DER, leaf first.</param>
        /// <param name="name">Whom it has to be for; null: the name is not looked at.</param>
        /// <param name="time">When; null: now.</param>
        /// <returns>What verification found, whatever it is. Hooks play no part.</returns>
        /// <remarks>For settings without a connection see <see cref="NewSettings"/>.</remarks>
        /// <exception cref="SslSocketException">
        /// Nothing was verified. Code Invalid: the chain is empty, or the name is none.
        /// </exception>
        public ChainVerdict VerifyChain(IList<byte[]> chain, string name = null, DateTime? time = null)
        {
            byte[] expected = Native.Utf8(name, nameof(name));
            long seconds = time == null ? long.MinValue : VerifyReport.Seconds(time.Value);
            using (var copy = new NativeChain(chain))
            {
                // It stays like that if nothing is verified.
                var report = new Native.ssl_verify_report { size = (uint)Marshal.SizeOf(typeof(Native.ssl_verify_report)) };
                int code = Native.ssl_verify_chain(this, copy.Pointer, copy.Count, expected, seconds, ref report);
                if (code != 0 && report.verdict == (uint)SslVerdict.NotAvailable)
                {
                    throw SslSocketException.OfThisThread();
                }
                string text = code == 0 ? "" : SslSocketException.OfThisThread().Text;
                return new ChainVerdict(code, text, new VerifyReport(report));
            }
        }
    }
}
