using System;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace SslSock
{
    /// <summary>A host name as certificate hooks of old get it: ASCII with a NUL, outside the managed heap.</summary>
    internal sealed class AsciiHost : SafeHandle
    {
        private const char LastAscii = '\x7f';

        internal AsciiHost(string name) : base(IntPtr.Zero, true)
        {
            Name = Ascii(name);
            SetHandle(Marshal.StringToHGlobalAnsi(Name));
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        internal string Name { get; }

        /// <summary>It lives as long as this object.</summary>
        internal IntPtr Pointer
        {
            get { return handle; }
        }

        protected override bool ReleaseHandle()
        {
            Marshal.FreeHGlobal(handle);
            return true;
        }

        /// <summary>The name as DNS has it. Whether it is one the library says.</summary>
        internal static string Ascii(string name)
        {
            if (name == null)
            {
                throw new ArgumentNullException("host");
            }
            if (name.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("There is a NUL character in the host name.", "host");
            }
            foreach (char character in name)
            {
                if (character > LastAscii)
                {
                    return Punycode(name);
                }
            }
            return name;
        }

        private static string Punycode(string name)
        {
            try
            {
                return new IdnMapping().GetAscii(name);
            }
            catch (ArgumentException error)
            {
                throw new ArgumentException(
                    "The host name is not ASCII and cannot be converted (IDNA): " + error.Message, "host", error);
            }
        }
    }
}
