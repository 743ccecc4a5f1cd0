using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace SslSock
{
    /// <summary>
    /// A chain of certificates as the library takes it: blobs, and what they point to, outside the managed heap.
    /// </summary>
    internal sealed class NativeChain : SafeHandle
    {
        private static readonly int BlobSize = Marshal.SizeOf(typeof(Native.ssl_blob));

        /// <param name="chain">The certificates in DER.</param>
        internal NativeChain(IList<byte[]> chain) : base(IntPtr.Zero, true)
        {
            if (chain == null)
            {
                throw new ArgumentNullException(nameof(chain));
            }
            // It may be changed meanwhile.
            var certificates = new byte[chain.Count][];
            chain.CopyTo(certificates, 0);
            int size = certificates.Length * BlobSize;
            foreach (byte[] certificate in certificates)
            {
                if (certificate == null)
                {
                    throw new ArgumentException("There is a null among the certificates.", nameof(chain));
                }
                size = checked(size + certificate.Length);
            }
            Count = (uint)certificates.Length;
            SetHandle(Marshal.AllocHGlobal(Math.Max(size, 1)));
            Fill(certificates);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        /// <summary>How many blobs there are.</summary>
        internal uint Count { get; }

        /// <summary>The first blob. It lives as long as this object.</summary>
        internal IntPtr Pointer
        {
            get { return handle; }
        }

        /// <summary>What is in blobs of the library's.</summary>
        internal static byte[][] Read(IntPtr blobs, uint count)
        {
            var read = new byte[count][];
            for (int i = 0; i < read.Length; i++)
            {
                read[i] = ReadOne(IntPtr.Add(blobs, i * BlobSize));
            }
            return read;
        }

        internal static byte[] ReadOne(IntPtr blob)
        {
            var found = (Native.ssl_blob)Marshal.PtrToStructure(blob, typeof(Native.ssl_blob));
            var bytes = new byte[found.cbSize];
            // An empty one may point nowhere.
            if (bytes.Length > 0)
            {
                Marshal.Copy(found.pBlobData, bytes, 0, bytes.Length);
            }
            return bytes;
        }

        protected override bool ReleaseHandle()
        {
            Marshal.FreeHGlobal(handle);
            return true;
        }

        private void Fill(byte[][] certificates)
        {
            IntPtr next = IntPtr.Add(handle, certificates.Length * BlobSize);
            for (int i = 0; i < certificates.Length; i++)
            {
                var blob = new Native.ssl_blob { cbSize = (uint)certificates[i].Length, pBlobData = next };
                Marshal.StructureToPtr(blob, IntPtr.Add(handle, i * BlobSize), false);
                Marshal.Copy(certificates[i], 0, next, certificates[i].Length);
                next = IntPtr.Add(next, certificates[i].Length);
            }
        }
    }
}
