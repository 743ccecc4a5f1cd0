using System;
using System.Runtime.CompilerServices;
using SslSock.Compat;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        /// <summary>Windows CE's SO_SECURE: the handle of a socket that is not connected, and held.</summary>
        internal static SslSocket Secure(System.Net.Sockets.Socket socket)
        {
            NativeLoader.Load();
            return MakeSecure(socket);
        }

        /// <summary>Lets a secure socket go right before it is connected, or holds it again.</summary>
        internal void Hold(bool hold)
        {
            Check(Native.ssl_wce_hold(this, hold ? 1 : 0));
        }

        /// <summary>One of Windows CE's control codes.</summary>
        /// <returns>How many bytes of output there are.</returns>
        internal int Control(uint code, byte[] input, byte[] output)
        {
            uint returned;
            bool added = false;
            try
            {
                // A hook may dispose it, and then there is something to be asked yet.
                DangerousAddRef(ref added);
                hasBegun |= code == SecureSockets.PerformHandshake;
                using (var scope = new HandshakeScope(this))
                {
                    Check(
                        Native.ssl_ioctl(this, code, input, Length(input), output, Length(output), out returned),
                        scope.Thrown);
                }
                if (code == SecureSockets.PerformHandshake)
                {
                    Established();
                }
                return (int)returned;
            }
            finally
            {
                if (added)
                {
                    DangerousRelease();
                }
            }
        }

        // Mono looks for the library when it compiles a method that calls it: hence after Load.
        [MethodImpl(MethodImplOptions.NoInlining)]
        private static SslSocket MakeSecure(System.Net.Sockets.Socket socket)
        {
            IntPtr native;
            Check(Native.ssl_wce_secure(SocketState.DescriptorOf(socket), out native));
            GC.KeepAlive(socket);
            SslSocket made = Adopt(native);
            SocketState.Of(socket).Adopt(made);
            return made;
        }

        private static uint Length(byte[] bytes)
        {
            return bytes == null ? 0 : (uint)bytes.Length;
        }
    }
}
