using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Matrix
{
    /// <summary>The bytes that both sides know, as in tests/peer.py.</summary>
    public static class Bytes
    {
        private const int Period = 251;

        public static byte[] Pattern(int offset, int length)
        {
            byte[] bytes = new byte[length];
            for (int i = 0; i < length; i++)
            {
                bytes[i] = (byte)((offset + i) % Period);
            }
            return bytes;
        }

        public static bool Matches(byte[] buffer, int start, int length, int offset)
        {
            for (int i = 0; i < length; i++)
            {
                if (buffer[start + i] != (byte)((offset + i) % Period))
                {
                    return false;
                }
            }
            return true;
        }
    }

    /// <summary>SHA-256 by OpenSSL 3: CoreCLR 3.1 looks for an older one and would abort.</summary>
    public sealed class Sha256 : IDisposable
    {
        private const string Crypto = "libcrypto.so.3";
        private const int Length = 32;
        private IntPtr context = EVP_MD_CTX_new();

        public Sha256()
        {
            Check(EVP_DigestInit_ex(context, EVP_sha256(), IntPtr.Zero));
        }

        public void Add(byte[] data, int length)
        {
            Check(EVP_DigestUpdate(context, data, (UIntPtr)(uint)length));
        }

        public string Hexadecimal()
        {
            byte[] digest = new byte[Length];
            uint size;
            Check(EVP_DigestFinal_ex(context, digest, out size));
            StringBuilder text = new StringBuilder();
            foreach (byte value in digest)
            {
                text.Append(value.ToString("x2"));
            }
            return text.ToString();
        }

        public void Dispose()
        {
            EVP_MD_CTX_free(context);
            context = IntPtr.Zero;
        }

        private static void Check(int done)
        {
            if (done != 1)
            {
                throw new InvalidOperationException("OpenSSL makes no hash");
            }
        }

        [DllImport(Crypto)]
        private static extern IntPtr EVP_MD_CTX_new();

        [DllImport(Crypto)]
        private static extern void EVP_MD_CTX_free(IntPtr context);

        [DllImport(Crypto)]
        private static extern IntPtr EVP_sha256();

        [DllImport(Crypto)]
        private static extern int EVP_DigestInit_ex(IntPtr context, IntPtr type, IntPtr engine);

        [DllImport(Crypto)]
        private static extern int EVP_DigestUpdate(IntPtr context, byte[] data, UIntPtr length);

        [DllImport(Crypto)]
        private static extern int EVP_DigestFinal_ex(IntPtr context, byte[] digest, out uint size);
    }
}
