using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        // As to why they are static see HookOfSocket.
        private static readonly Native.ssl_signature_fn SignatureHook = CallSigner;
        private static readonly Native.ssl_auth_request_fn AuthRequestHook = CallAuthRequest;
        private static readonly CallbackTable<SslSigner> Signers = new CallbackTable<SslSigner>();
        private static readonly CallbackTable<SslAuthRequest> AuthRequests = new CallbackTable<SslAuthRequest>();

        /// <summary>What this handle uses of the two tables, until it is freed.</summary>
        private readonly List<object> callbacks = new List<object>();

        /// <summary>
        /// Sets the certificate chain and private key of this side. A server needs one. Before the handshake.
        /// </summary>
        /// <param name="chain">PEM or DER, leaf first.</param>
        /// <param name="key">PEM or DER: PKCS #8, PKCS #1 or SEC 1, not encrypted.</param>
        /// <exception cref="SslSocketException">
        /// Code BadData: they cannot be used, or do not belong together.
        /// </exception>
        public void SetIdentityPem(byte[] chain, byte[] key)
        {
            byte[] shown = Copied(chain, nameof(chain));
            Secret secret = Secret.Of(key, nameof(key));
            Apply(socket =>
            {
                Check(Native.ssl_set_identity_pem(socket, shown, Size(shown), secret.Bytes, Size(secret.Bytes)));
                GC.KeepAlive(secret);
            });
        }

        /// <summary><see cref="SetIdentityPem"/> with the contents of two files, which may be the same.</summary>
        /// <param name="chainPath">The file with the chain.</param>
        /// <param name="keyPath">The file with the key.</param>
        /// <exception cref="SslSocketException">Code Io: one cannot be read.</exception>
        public void SetIdentityFile(string chainPath, string keyPath)
        {
            byte[] chain = Needed(chainPath, nameof(chainPath));
            byte[] key = Needed(keyPath, nameof(keyPath));
            Apply(socket => Check(Native.ssl_set_identity_file(socket, chain, key)));
        }

        /// <summary>
        /// Adds a further identity beside that of <see cref="SetIdentityPem"/>, which replaces them all. A server shows the
        /// first whose certificate is for the name that the client asks for (SNI), a client the first whose issuer the
        /// server names; else the first of all. Before the handshake.
        /// </summary>
        /// <param name="chain">PEM or DER, leaf first.</param>
        /// <param name="key">PEM or DER, not encrypted.</param>
        /// <exception cref="SslSocketException">
        /// Code BadData: they cannot be used, or do not belong together.
        /// </exception>
        public void AddIdentityPem(byte[] chain, byte[] key)
        {
            byte[] shown = Copied(chain, nameof(chain));
            Secret secret = Secret.Of(key, nameof(key));
            Apply(socket =>
            {
                Check(Native.ssl_add_identity_pem(socket, shown, Size(shown), secret.Bytes, Size(secret.Bytes)));
                GC.KeepAlive(secret);
            });
        }

        /// <summary><see cref="AddIdentityPem"/> with the contents of two files, which may be the same.</summary>
        /// <param name="chainPath">The file with the chain.</param>
        /// <param name="keyPath">The file with the key.</param>
        /// <exception cref="SslSocketException">Code Io: one cannot be read.</exception>
        public void AddIdentityFile(string chainPath, string keyPath)
        {
            byte[] chain = Needed(chainPath, nameof(chainPath));
            byte[] key = Needed(keyPath, nameof(keyPath));
            Apply(socket => Check(Native.ssl_add_identity_file(socket, chain, key)));
        }

        /// <summary>
        /// Sets the certificate chain of this side, whose private key the library does not see. Before the handshake.
        /// </summary>
        /// <param name="chain">PEM or DER, leaf first.</param>
        /// <param name="signer">
        /// Signs with the key, on the thread that makes the handshake. What it throws ends the handshake and becomes the
        /// InnerException of what that throws. It is kept for as long as the handle lives. Sessions are resumed only
        /// among handles with an equal delegate.
        /// </param>
        /// <exception cref="SslSocketException">Code BadData: the chain cannot be used.</exception>
        public void SetIdentitySigner(byte[] chain, SslSigner signer)
        {
            byte[] shown = Copied(chain, nameof(chain));
            if (signer == null)
            {
                throw new ArgumentNullException(nameof(signer));
            }
            Apply(socket => socket.Register(
                Signers, signer,
                number => Native.ssl_set_identity_signer(socket, shown, Size(shown), SignatureHook, number)));
        }

        /// <summary>Sets the hook that chooses a client certificate when a server asks for one. Before the handshake.</summary>
        /// <param name="callback">
        /// Called at most once in a handshake, on its thread. What it throws ends the handshake and becomes the
        /// InnerException of what that throws. Null: no hook, the library chooses. It is kept for as long as the handle
        /// lives.
        /// </param>
        /// <remarks>
        /// With a hook, sessions are resumed by <see cref="SetSessionFrom"/> alone, among handles with an equal delegate.
        /// </remarks>
        public void SetAuthRequestHook(SslAuthRequest callback)
        {
            if (callback == null)
            {
                Apply(socket => Check(Native.ssl_set_auth_request_hook(socket, null, IntPtr.Zero)));
                return;
            }
            Apply(socket => socket.Register(
                AuthRequests, callback,
                number => Native.ssl_set_auth_request_hook(socket, AuthRequestHook, number)));
        }

        private void Register<T>(CallbackTable<T> table, T callback, Func<IntPtr, int> set) where T : class
        {
            bool added = false;
            try
            {
                // Not while another thread frees the handle.
                DangerousAddRef(ref added);
                T kept;
                IntPtr number = table.Add(callback, out kept);
                lock (callbacks)
                {
                    callbacks.Add(kept);
                }
                Check(set(number));
            }
            finally
            {
                if (added)
                {
                    DangerousRelease();
                }
            }
        }

        private static int CallSigner(
            uint type, IntPtr arg, IntPtr source, uint sourceLength, uint flags, IntPtr destination, ref uint length)
        {
            try
            {
                var message = new byte[sourceLength];
                Marshal.Copy(source, message, 0, message.Length);
                byte[] signature = Signers.Find(arg)((SslSignatureScheme)type, message);
                if (signature == null || signature.Length > length)
                {
                    throw new InvalidOperationException(
                        signature == null ? "The signer has returned null." : "The signature is too long.");
                }
                Marshal.Copy(signature, 0, destination, signature.Length);
                length = (uint)signature.Length;
                return (int)SslError.Okay;
            }
            catch (ThreadAbortException abort)
            {
                Thread.ResetAbort();
                return Refuse(abort);
            }
            catch (Exception thrown)
            {
                return Refuse(thrown);
            }
        }

        private static int CallAuthRequest(
            uint type, IntPtr arg, uint issuerCount, IntPtr issuers, uint flags, ref uint chainLength, ref IntPtr chain)
        {
            try
            {
                HandshakeScope scope = HandshakeScope.OfThisThread;
                ClientCertificate chosen = AuthRequests.Find(arg)(
                    scope == null ? null : scope.Socket, NativeChain.Read(issuers, issuerCount));
                if (chosen == null)
                {
                    throw new InvalidOperationException(
                        "The hook has returned null: see ClientCertificate.None and OfLibrary.");
                }
                if (chosen == ClientCertificate.None)
                {
                    return (int)SslError.NoCert;
                }
                if (chosen.Chain != null)
                {
                    answered = new NativeChain(chosen.Chain);
                    chainLength = answered.Count;
                    chain = answered.Pointer;
                }
                return (int)SslError.Okay;
            }
            catch (ThreadAbortException abort)
            {
                Thread.ResetAbort();
                return Refuse(abort);
            }
            catch (Exception thrown)
            {
                return Refuse(thrown);
            }
        }

        /// <summary>The library copies it as soon as the hook has returned.</summary>
        [ThreadStatic] private static NativeChain answered;

        private static UIntPtr Size(byte[] bytes)
        {
            return (UIntPtr)(uint)bytes.Length;
        }
    }
}
