using System;
using System.Collections.Generic;

namespace SslSock
{
    /// <summary>Chooses by what this side proves who it is, when a server asks for a certificate.</summary>
    /// <param name="socket">
    /// The handle whose handshake it is, for what can be read from it; null if that was not begun by this assembly.
    /// </param>
    /// <param name="issuers">
    /// The distinguished names in DER of the authorities that the server accepts; none if it does not say.
    /// </param>
    /// <returns>The choice. An exception ends the handshake.</returns>
    public delegate ClientCertificate SslAuthRequest(SslSocket socket, IList<byte[]> issuers);

    /// <summary>
    /// Signs with a private key that the library does not see, such as one in a smart card or a service.
    /// </summary>
    /// <param name="scheme">How.</param>
    /// <param name="message">What is to be signed, not hashed yet.</param>
    /// <returns>The signature; of ECDSA in DER. An exception ends the handshake.</returns>
    public delegate byte[] SslSigner(SslSignatureScheme scheme, byte[] message);

    /// <summary>What an <see cref="SslAuthRequest"/> answers.</summary>
    public sealed class ClientCertificate
    {
        /// <summary>The library chooses among the identities of the handle, as without a hook.</summary>
        public static readonly ClientCertificate OfLibrary = new ClientCertificate();

        /// <summary>The handshake goes on without a certificate: some servers let such clients in.</summary>
        public static readonly ClientCertificate None = new ClientCertificate();

        /// <summary>This certificate.</summary>
        /// <param name="chain">
        /// In DER, leaf first. The leaf has to be that of an identity of the handle, whose key then signs.
        /// </param>
        /// <exception cref="ArgumentException">The chain is empty.</exception>
        public ClientCertificate(IList<byte[]> chain)
        {
            if (chain == null)
            {
                throw new ArgumentNullException(nameof(chain));
            }
            if (chain.Count == 0)
            {
                throw new ArgumentException("There is no certificate: see ClientCertificate.None.", nameof(chain));
            }
            Chain = chain;
        }

        private ClientCertificate()
        {
        }

        internal IList<byte[]> Chain { get; }
    }
}
