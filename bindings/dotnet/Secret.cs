using System;
using System.Runtime.InteropServices;

namespace SslSock
{
    /// <summary>A copy of a private key, which is overwritten as soon as nobody refers to it.</summary>
    internal sealed class Secret
    {
        /// <summary>Or the collector would leave further copies behind.</summary>
        private readonly GCHandle pin;

        private Secret(byte[] bytes)
        {
            Bytes = new byte[bytes.Length];
            pin = GCHandle.Alloc(Bytes, GCHandleType.Pinned);
            Array.Copy(bytes, Bytes, bytes.Length);
        }

        internal static Secret Of(byte[] bytes, string parameter)
        {
            if (bytes == null)
            {
                throw new ArgumentNullException(parameter);
            }
            return new Secret(bytes);
        }

        ~Secret()
        {
            Array.Clear(Bytes, 0, Bytes.Length);
            pin.Free();
        }

        internal byte[] Bytes { get; }
    }
}
