using System;
using System.Runtime.InteropServices;

namespace SslSock
{
    /// <summary>Waits for a descriptor that no Socket stands for.</summary>
    internal static class Readiness
    {
        private const short POLLIN = 1;
        private const short POLLOUT = 4;

        [StructLayout(LayoutKind.Sequential)]
        private struct pollfd
        {
            internal int fd;
            internal short events;
            internal short revents;
        }

        /// <summary>Until it can be read, or written, or there is an error to be heard of; or the time is over.</summary>
        internal static void Await(SslTransportDescriptor descriptor, bool forWriting, int milliseconds)
        {
            var one = new pollfd { fd = descriptor.Number, events = forWriting ? POLLOUT : POLLIN };
            // Whatever it answers, a signal's interruption too: the caller asks the library next.
            poll(ref one, new UIntPtr(1), milliseconds);
            GC.KeepAlive(descriptor);
        }

        [DllImport("libc")]
        private static extern int poll(ref pollfd descriptors, UIntPtr count, int milliseconds);
    }
}
