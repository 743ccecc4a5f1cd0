using System;
using System.Runtime.InteropServices;
using System.Text;

namespace SslSock
{
    /// <summary>The functions of include/sslsock.h, by their names.</summary>
    internal static class Native
    {
        internal const int Major = 0;
        /// <summary>The smallest minor number of the ABI that has every function below.</summary>
        internal const int Minor = 5;

        internal const string Library = "libsslsock.so.0";

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate int ssl_validate_cert_fn(uint type, IntPtr arg, uint chain_len, IntPtr chain, uint flags);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate int ssl_signature_fn(
            uint type, IntPtr arg, IntPtr source, uint source_len, uint flags, IntPtr dest, ref uint dest_len);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate int ssl_auth_request_fn(
            uint type, IntPtr arg, uint issuer_count, IntPtr issuers, uint flags, ref uint chain_len, ref IntPtr chain);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void ssl_log_fn(IntPtr arg, uint level, IntPtr message);

        [StructLayout(LayoutKind.Sequential)]
        internal struct ssl_blob
        {
            internal uint cbSize;
            internal IntPtr pBlobData;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ssl_session_info
        {
            internal uint size;
            internal uint datapath;
            internal ushort protocol;
            internal ushort suite;
            internal ushort group;
            internal byte resumed;
            internal byte alpn_len;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 256)] internal byte[] alpn;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 16)] internal byte[] protocol_name;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 64)] internal byte[] suite_name;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 32)] internal byte[] group_name;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ssl_verify_report
        {
            internal uint size;
            internal uint verdict;
            internal uint causes;
            internal uint chain_len;
            internal long not_before;
            internal long not_after;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 32)] internal byte[] spki_sha256;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct ssl_error_info
        {
            internal uint size;
            internal int code;
            internal uint category;
            internal int sys_errno;
            internal int tls_alert;
            internal uint from_hook;
        }

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_socket_new(int fd);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_socket_from_fd(int fd, out IntPtr s);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_defaults();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_settings_new();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_socket_free(IntPtr s);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_flags(SslSocket s, uint flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_flags(SslSocket s, out uint flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_validate_cert_hook(SslSocket s, ssl_validate_cert_fn hook, IntPtr arg);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_peername(SslSocket s, byte[] name);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_timeout(SslSocket s, uint which, uint ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_alpn(SslSocket s, byte[] protocols, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_protocols(SslSocket s, ushort min, ushort max);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_key_log_file(SslSocket s, byte[] path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_session_from(SslSocket s, IntPtr other);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_trust_file(SslSocket s, byte[] pem_path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_trust_pem(SslSocket s, byte[] pem, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_use_system_trust(SslSocket s);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_trust_dir(SslSocket s, byte[] dir_path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_pin(SslSocket s, byte[] pin);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_crl_file(SslSocket s, byte[] path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_crl_pem(SslSocket s, byte[] crl, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_verify_chain(
            SslSocket s, IntPtr chain, uint chain_len, byte[] name, long time, ref ssl_verify_report report);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_identity_pem(
            SslSocket s, byte[] chain, UIntPtr chain_len, byte[] key, UIntPtr key_len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_identity_file(SslSocket s, byte[] chain_path, byte[] key_path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_identity_signer(
            SslSocket s, byte[] chain, UIntPtr chain_len, ssl_signature_fn sign, IntPtr arg);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_identity_pem(
            SslSocket s, byte[] chain, UIntPtr chain_len, byte[] key, UIntPtr key_len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_add_identity_file(SslSocket s, byte[] chain_path, byte[] key_path);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_auth_request_hook(SslSocket s, ssl_auth_request_fn hook, IntPtr arg);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_perform_handshake(SslSocket s, byte[] host);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_complete_validation(SslSocket s, int result);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_cancel_handshake(SslSocket s);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_connect(SslSocket s, byte[] sockaddr, uint len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_send(SslSocket s, ref byte buf, UIntPtr len, int msg_flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_recv(SslSocket s, ref byte buf, UIntPtr len, int msg_flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_pending(SslSocket s, out UIntPtr bytes);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_shutdown(SslSocket s, int how);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_ioctl(
            SslSocket s, uint code, byte[] @in, uint in_len, [In, Out] byte[] @out, uint out_len, out uint returned);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_wce_secure(int fd, out IntPtr s);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_wce_hold(SslSocket s, int hold);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_flush_all(uint timeout_ms, out uint unfinished);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_transport_fd(SslSocket s, out int fd);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_address(SslSocket s, uint which, [In, Out] byte[] sockaddr, ref uint len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_session_info(SslSocket s, ref ssl_session_info info);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_server_name(
            SslSocket s, [In, Out] byte[] buf, UIntPtr capacity, out UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_peer_certificate(
            SslSocket s, uint index, [In, Out] byte[] der, UIntPtr capacity, out UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_verify_report(SslSocket s, ref ssl_verify_report report);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_verify_text(
            SslSocket s, uint what, uint index, [In, Out] byte[] buf, UIntPtr capacity, out UIntPtr len);

        // With NULL these three answer for the calling thread, hence not an SslSocket.

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_error(IntPtr s);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_error_text(IntPtr s, [In, Out] byte[] buf, UIntPtr capacity, out UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_get_error_info(IntPtr s, ref ssl_error_info info);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_error_name(int code);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint ssl_error_category(int code);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_relay_threads(uint count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int ssl_set_log_callback(uint level, ssl_log_fn fn, IntPtr arg);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr ssl_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint ssl_abi_version();

        /// <summary>A C string in UTF-8; null stays null.</summary>
        internal static byte[] Utf8(string text, string parameter)
        {
            if (text == null)
            {
                return null;
            }
            if (text.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("There is a NUL character in it.", parameter);
            }
            var strict = new UTF8Encoding(false, true);
            var bytes = new byte[strict.GetByteCount(text) + 1];
            strict.GetBytes(text, 0, text.Length, bytes, 0);
            return bytes;
        }

        /// <summary>The text before the first NUL, or all of it.</summary>
        internal static string Text(byte[] bytes)
        {
            int length = Array.IndexOf(bytes, (byte)0);
            return Encoding.UTF8.GetString(bytes, 0, length < 0 ? bytes.Length : length);
        }

        internal static string Text(IntPtr pointer)
        {
            int length = 0;
            while (Marshal.ReadByte(pointer, length) != 0)
            {
                length++;
            }
            var bytes = new byte[length];
            Marshal.Copy(pointer, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }
    }
}
