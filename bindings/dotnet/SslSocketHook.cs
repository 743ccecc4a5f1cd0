using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        /// <summary>What the exception of a hook becomes: a value of no meaning of its own, which refuses.</summary>
        internal const int HookThrew = -1;

        // The library keeps a pointer to it in every handle with a hook. A static delegate is never collected.
        private static readonly Native.ssl_validate_cert_fn HookOfSocket = CallHookOfSocket;
        private static readonly Native.ssl_validate_cert_fn HookOfDefaults = CallHookOfDefaults;

        private Hook hook;
        private GCHandle hookHandle;

        /// <summary>Sets the certificate hook, which then has the last word on the peer's certificate.</summary>
        /// <param name="callback">
        /// Called once in a handshake, on its thread: 0 accepts <b>whatever is wrong</b>, anything else refuses. What it
        /// throws refuses too, and becomes the InnerException of what the handshake throws. Null: no hook, the library
        /// decides. It is kept for as long as the handle lives.
        /// </param>
        /// <param name="argument">Handed to the hook as pvArg, untouched.</param>
        /// <remarks>
        /// Before the handshake. Inside the hook <see cref="VerifyReport"/> has what verification found. With
        /// <see cref="SslFlags.NonBlocking"/> it may answer WantValidation: see <see cref="CompleteValidation"/>.
        /// </remarks>
        public void SetValidateCertHook(SslHelper.SSLVALIDATECERTFUNC callback, IntPtr argument = default(IntPtr))
        {
            if (callback == null)
            {
                Check(Native.ssl_set_validate_cert_hook(this, null, IntPtr.Zero));
                return;
            }
            bool added = false;
            try
            {
                // Not while another thread frees the handle.
                DangerousAddRef(ref added);
                lock (Live)
                {
                    if (!hookHandle.IsAllocated)
                    {
                        // Weak, or a hook that knows its socket would keep both for ever.
                        hookHandle = GCHandle.Alloc(this, GCHandleType.Weak);
                    }
                    Check(Native.ssl_set_validate_cert_hook(this, HookOfSocket, GCHandle.ToIntPtr(hookHandle)));
                    hook = new Hook(callback, argument);
                }
            }
            finally
            {
                if (added)
                {
                    DangerousRelease();
                }
            }
        }

        /// <summary>The same for the defaults: handles made later have it, hence it is kept for ever.</summary>
        internal void SetDefaultValidateCertHook(SslHelper.SSLVALIDATECERTFUNC callback, IntPtr argument)
        {
            if (callback == null)
            {
                Check(Native.ssl_set_validate_cert_hook(this, null, IntPtr.Zero));
                return;
            }
            GCHandle kept = GCHandle.Alloc(new Hook(callback, argument));
            int code = Native.ssl_set_validate_cert_hook(this, HookOfDefaults, GCHandle.ToIntPtr(kept));
            if (code != 0)
            {
                kept.Free();
            }
            Check(code);
        }

        private void FreeHookHandle()
        {
            if (hookHandle.IsAllocated)
            {
                hookHandle.Free();
            }
        }

        private static int CallHookOfSocket(uint type, IntPtr arg, uint chainLength, IntPtr chain, uint flags)
        {
            return Call(() => ((SslSocket)GCHandle.FromIntPtr(arg).Target).hook, type, chainLength, chain, flags);
        }

        private static int CallHookOfDefaults(uint type, IntPtr arg, uint chainLength, IntPtr chain, uint flags)
        {
            return Call(() => (Hook)GCHandle.FromIntPtr(arg).Target, type, chainLength, chain, flags);
        }

        /// <summary>No exception may pass through the library's frames.</summary>
        private static int Call(Func<Hook> find, uint type, uint chainLength, IntPtr chain, uint flags)
        {
            try
            {
                Hook found = find();
                return found.Callback(type, found.Argument, chainLength, chain, flags);
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

        private static int Refuse(Exception thrown)
        {
            HandshakeScope scope = HandshakeScope.OfThisThread;
            if (scope != null)
            {
                scope.Thrown = thrown;
            }
            return HookThrew;
        }

        private sealed class Hook
        {
            internal readonly SslHelper.SSLVALIDATECERTFUNC Callback;
            internal readonly IntPtr Argument;

            internal Hook(SslHelper.SSLVALIDATECERTFUNC callback, IntPtr argument)
            {
                Callback = callback;
                Argument = argument;
            }
        }
    }

    /// <summary>The handshake that this thread is making: hooks are called on its thread. They may nest.</summary>
    internal sealed class HandshakeScope : IDisposable
    {
        [ThreadStatic] private static HandshakeScope current;

        private readonly HandshakeScope outer;

        internal HandshakeScope(SslSocket socket)
        {
            Socket = socket;
            outer = current;
            current = this;
        }

        internal static HandshakeScope OfThisThread
        {
            get { return current; }
        }

        internal SslSocket Socket { get; }

        /// <summary>What the hook has thrown.</summary>
        internal Exception Thrown { get; set; }

        public void Dispose()
        {
            current = outer;
            MonoSelector.BeginAnew();
        }
    }
}
