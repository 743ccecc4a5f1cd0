// A helper class in the manner of those that programs for .NET Compact Framework carry with them, constants and all.
// It is compiled as a program would have it, with these edits, all of them for the size of a pointer, which was four
// bytes there:
//
//   1. the buffer of the hook has IntPtr.Size * 2 bytes instead of 8, and IntPtr.Size instead of 4 is where pvArg is;
//   2. ToInt64 instead of ToInt32 where a pointer goes into a buffer (three times);
//   3. the pointer in the certificate's structure is read IntPtr.Size after its beginning instead of 4, as ToInt64.
//
// And one because the test's CoreCLR has no OpenSSL 1.1, without which it cannot read certificates:
//
//   4. ReadCertificate takes subject and dates from the library's report there.
using System;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Socket = SslSock.Compat.Socket;

namespace SslTest
{
    class SslHelper : IDisposable
    {
        private const ushort SO_SECURE = 0x2001;
        private const ushort SO_SEC_SSL = 0x2004;
        private const int _SO_SSL_FLAGS = 0x02;
        private const int _SO_SSL_VALIDATE_CERT_HOOK = 0x08;
        private const int _SO_SSL_PERFORM_HANDSHAKE = 0x0d;
        private const int SO_SSL_FAMILY = 0x00730000;
        private const long _SO_SSL = ((2L << 27) | SO_SSL_FAMILY);
        private const uint IOC_IN = 0x80000000;
        private const long SO_SSL_SET_VALIDATE_CERT_HOOK = (IOC_IN | _SO_SSL | _SO_SSL_VALIDATE_CERT_HOOK);
        private const long SO_SSL_SET_FLAGS = (IOC_IN | _SO_SSL | _SO_SSL_FLAGS);
        private const long SO_SSL_PERFORM_HANDSHAKE = _SO_SSL | _SO_SSL_PERFORM_HANDSHAKE;

        private const int SSL_CERT_X59 = 1;
        private const int SSL_ERR_OKAY = 0;
        private const int SSL_ERR_FAILED = 2;
        private const int SSL_ERR_BAD_TYPE = 4;
        private const int SSL_ERR_BAD_DATA = 5;
        private const int SSL_ERR_CERT_EXPIRED = 8;
        private const int SSL_ERR_CERT_UNKNOWN = 10;
        private const int SSL_CERT_FLAG_ISSUER_UNKNOWN = 1;
        private const int SSL_FLAG_DEFER_HANDSHAKE = 0x0008;

        public delegate int SSLVALIDATECERTFUNC(
            uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags);

        private Socket socket;
        private IntPtr ptrHost;
        private IntPtr hookFunc;

        public SslHelper(Socket socket, string host)
            : this(socket, host, false)
        {
        }

        public SslHelper(Socket socket, string host, bool deferHandshake)
        {
            this.socket = socket;
            // The managed SocketOptionName enum has no SO_SECURE, so it is cast.
            socket.SetSocketOption(SocketOptionLevel.Socket, (SocketOptionName)SO_SECURE, SO_SEC_SSL);

            // The pointer of a delegate that nothing refers to afterwards.
            hookFunc = Marshal.GetFunctionPointerForDelegate(new SSLVALIDATECERTFUNC(ValidateCert));

            ptrHost = Marshal.AllocHGlobal(host.Length + 1);
            WriteASCIIString(ptrHost, host);

            byte[] inBuffer = new byte[IntPtr.Size * 2];
            BitConverter.GetBytes(hookFunc.ToInt64()).CopyTo(inBuffer, 0);
            BitConverter.GetBytes(ptrHost.ToInt64()).CopyTo(inBuffer, IntPtr.Size);
            unchecked
            {
                socket.IOControl((int)SO_SSL_SET_VALIDATE_CERT_HOOK, inBuffer, null);
                if (deferHandshake)
                    socket.IOControl((int)SO_SSL_SET_FLAGS, BitConverter.GetBytes(SSL_FLAG_DEFER_HANDSHAKE), null);
            }
        }

        ~SslHelper()
        {
            ReleaseHostPointer();
        }

        public void Dispose()
        {
            ReleaseHostPointer();
            GC.SuppressFinalize(this);
        }

        public void DoHandshake()
        {
            socket.IOControl((int)SO_SSL_PERFORM_HANDSHAKE, BitConverter.GetBytes(ptrHost.ToInt64()), null);
        }

        private void ReleaseHostPointer()
        {
            if (ptrHost != IntPtr.Zero)
            {
                Marshal.FreeHGlobal(ptrHost);
                ptrHost = IntPtr.Zero;
            }
        }

        private int ValidateCert(uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
        {
            Program.HookCalls++;
            if (dwType != SSL_CERT_X59)
                return SSL_ERR_BAD_TYPE;

            if ((dwFlags & SSL_CERT_FLAG_ISSUER_UNKNOWN) != 0)
                return SSL_ERR_CERT_UNKNOWN;

            if (dwChainLen != 1)
                return SSL_ERR_FAILED;

            int size = Marshal.ReadInt32(pCertChain);
            IntPtr data = Marshal.ReadIntPtr(new IntPtr(pCertChain.ToInt64() + IntPtr.Size));
            byte[] rawData = new byte[size];
            Marshal.Copy(data, rawData, 0, size);

            string subject;
            DateTime expires, effective;
            try
            {
                ReadCertificate(rawData, out subject, out expires, out effective);
            }
            catch (ArgumentException)
            {
                return SSL_ERR_BAD_DATA;
            }
            catch (CryptographicException)
            {
                return SSL_ERR_BAD_DATA;
            }

            if (DateTime.Now > expires)
                return SSL_ERR_CERT_EXPIRED;

            if (DateTime.Now < effective)
                return SSL_ERR_FAILED;

            string host = ReadAnsiString(pvArg);
            if (!subject.Contains("CN=" + host))
                return SSL_ERR_FAILED;

            return SSL_ERR_OKAY;
        }

        private void ReadCertificate(byte[] rawData, out string subject, out DateTime expires, out DateTime effective)
        {
            if (Type.GetType("Mono.Runtime") == null)
            {
                SslSock.SslSocket library = SslSock.SslSocket.For(socket);
                subject = library.GetVerifyText(SslSock.SslVerifyText.Subject);
                expires = library.VerifyReport.NotAfter.ToLocalTime();
                effective = library.VerifyReport.NotBefore.ToLocalTime();
                return;
            }
            X509Certificate2 cert = new X509Certificate2(rawData);
            subject = cert.Subject;
            expires = DateTime.Parse(cert.GetExpirationDateString());
            effective = DateTime.Parse(cert.GetEffectiveDateString());
        }

        private static void WriteASCIIString(IntPtr basePtr, string s)
        {
            byte[] bytes = Encoding.ASCII.GetBytes(s);
            for (int i = 0; i < bytes.Length; i++)
                Marshal.WriteByte(basePtr, i, bytes[i]);
            Marshal.WriteByte(basePtr, bytes.Length, 0);
        }

        private static string ReadAnsiString(IntPtr pvArg)
        {
            byte[] buffer = new byte[1024];
            int length = 0;
            while ((buffer[length] = Marshal.ReadByte(pvArg, length)) != 0)
                length++;
            return Encoding.ASCII.GetString(buffer, 0, length);
        }
    }
}
