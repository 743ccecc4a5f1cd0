using System;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SslSock.Compat
{
    public partial class Socket
    {
        private delegate int NativeFunction(uint type, IntPtr argument, uint length, IntPtr chain, uint flags);

        private int Control(uint code, byte[] input, byte[] output)
        {
            if (secure == null)
            {
                throw SslSocketException.Of(
                    SslError.State,
                    "this is not a secure socket: call SetSocketOption(SocketOptionLevel.Socket, SO_SECURE, " +
                    "SO_SEC_SSL) before the first control code.");
            }
            switch (code)
            {
                case SecureSockets.SetValidateCertHook:
                    return SetHook(input, output);
                case SecureSockets.GetValidateCertHook:
                    return GetHook(output);
                case SecureSockets.PerformHandshake:
                    return PerformHandshake(input, output);
            }
            int returned = secure.Control(code, input, output);
            // Programs hand over the pointers of delegates here as well. They are called as they are: what they throw
            // must not leave them.
            if (code == SecureSockets.SetAuthRequestHook)
            {
                authRequestDelegate = FindDelegate(ReadPointer(input, 0));
            }
            else if (code == SecureSockets.SetSignatureHook)
            {
                signatureDelegate = FindDelegate(ReadPointer(input, 0));
            }
            if ((code & SecureSockets.TagMask) == SecureSockets.PeerNameTag)
            {
                // An empty name takes it back.
                hasPeerName = input != null && (input.Length > 1 || input.Length == 1 && input[0] != 0);
            }
            return returned;
        }

        /// <summary>
        /// Sets the hook. Programs hand over the pointer of a delegate that nothing else refers to; the runtime answers
        /// that very delegate for its pointer, and it is kept as long as the socket.
        /// </summary>
        private int SetHook(byte[] input, byte[] output)
        {
            bool isWhole = input != null && input.Length >= 2 * IntPtr.Size;
            Delegate found = isWhole ? FindDelegate(ReadPointer(input, 0)) : null;
            SslHelper.SSLVALIDATECERTFUNC called = found == null ? null : HookDelegate.Of(found);
            if (called != null)
            {
                // So that what it throws does not unwind the library, but comes out of the handshake.
                secure.SetValidateCertHook(called, ReadPointer(input, IntPtr.Size));
            }
            else
            {
                secure.Control(SecureSockets.SetValidateCertHook, input, output);
            }
            hookDelegate = found;
            hook = isWhole ? (byte[])input.Clone() : null;
            return 0;
        }

        /// <summary>The delegate whose pointer this is, or null for a native function.</summary>
        private static Delegate FindDelegate(IntPtr function)
        {
            if (function == IntPtr.Zero)
            {
                return null;
            }
            // For a native function the runtimes make a delegate of the type that they are asked for.
            Delegate found = Marshal.GetDelegateForFunctionPointer(function, typeof(NativeFunction));
            return found is NativeFunction ? null : found;
        }

        private int GetHook(byte[] output)
        {
            byte[] answer = hook ?? new byte[2 * IntPtr.Size];
            if (output == null || output.Length < 2 * IntPtr.Size)
            {
                throw new SocketException((int)SocketError.Fault);
            }
            Array.Copy(answer, output, 2 * IntPtr.Size);
            return 2 * IntPtr.Size;
        }

        private int PerformHandshake(byte[] input, byte[] output)
        {
            try
            {
                UseConnectName();
                SocketState.RefuseExplicit(secure);
                SocketState.Of(this).KeepEndPoints();
            }
            catch (Exception)
            {
                // Whoever passes over the exception must not send a password next.
                SocketState.Of(this).Kill();
                throw;
            }
            try
            {
                return secure.Control(SecureSockets.PerformHandshake, input, output);
            }
            catch (Exception error) when (!(error is SslSocketException) && !secure.IsSecure)
            {
                // It did not get as far as the library, which kills by itself.
                SocketState.Of(this).Kill();
                throw;
            }
            finally
            {
                GC.KeepAlive(hookDelegate);
                GC.KeepAlive(authRequestDelegate);
                GC.KeepAlive(signatureDelegate);
            }
        }

        /// <summary>What Connect was told, unless SO_SSL_SET_PEERNAME was, or SslSocket.PeerName.</summary>
        private void UseConnectName()
        {
            bool isGiven = hasPeerName || secure.PeerName != null && secure.PeerName != SslDefaults.PeerName;
            if (!isGiven && connectName != null && !secure.HasBegun)
            {
                secure.PeerName = connectName;
            }
        }

        private static IntPtr ReadPointer(byte[] bytes, int offset)
        {
            return IntPtr.Size == sizeof(long)
                ? new IntPtr(BitConverter.ToInt64(bytes, offset))
                : new IntPtr(BitConverter.ToInt32(bytes, offset));
        }
    }
}
