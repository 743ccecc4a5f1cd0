using System;

namespace SslSock
{
    /// <summary>What the library copies into a buffer of ours, which may have to grow for it.</summary>
    internal static class CopiedOut
    {
        internal delegate int Call(byte[] buffer, UIntPtr capacity, out UIntPtr length);

        // Most texts and certificates fit.
        private const int FirstCapacity = 4096;

        /// <exception cref="SslSocketException">What the call answered.</exception>
        internal static byte[] Bytes(Call call)
        {
            var buffer = new byte[FirstCapacity];
            while (true)
            {
                UIntPtr length;
                int code = call(buffer, (UIntPtr)buffer.Length, out length);
                if (code == 0)
                {
                    Array.Resize(ref buffer, (int)length);
                    return buffer;
                }
                if (code != (int)SslError.Buffer)
                {
                    throw SslSocketException.OfThisThread();
                }
                buffer = new byte[(int)length];
            }
        }

        internal static string Text(Call call)
        {
            return Native.Text(Bytes(call));
        }
    }
}
