using System;
using System.Net.Sockets;

namespace SslSock
{
    /// <summary>
    /// Mono's thread that waits for the asynchronous operations of all sockets. Where it waits by poll, it goes on
    /// watching what a descriptor was when it began: a receive that was pending at the upgrade would wait for ever.
    /// </summary>
    internal static class MonoSelector
    {
        private static readonly bool IsMono = Type.GetType("Mono.Runtime") != null;

        /// <summary>Has it begin to wait anew, for the descriptors as they are now; returns when it does.</summary>
        internal static void BeginAnew()
        {
            if (!IsMono)
            {
                return;
            }
            try
            {
                // Whenever a socket is closed, Mono waits until that thread has let go of it.
                new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp).Close();
            }
            catch (SocketException)
            {
                // No descriptors are left. The handshake's own outcome is what the caller has to hear of.
            }
        }
    }
}
