using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;

namespace SslSock
{
    /// <summary>Finds libsslsock.so.0 before the first call of it, and looks whether it is one that fits.</summary>
    internal static class NativeLoader
    {
        private const string FileName = Native.Library;
        private const int RTLD_NOW = 2;
        private const int RTLD_NOLOAD = 4;

        private static readonly object Lock = new object();
        private static volatile bool loaded;

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate uint AbiVersion();

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate IntPtr Version();

        [StructLayout(LayoutKind.Sequential)]
        private struct Dl_info
        {
            internal IntPtr dli_fname;
            internal IntPtr dli_fbase;
            internal IntPtr dli_sname;
            internal IntPtr dli_saddr;
        }

        /// <summary>
        /// To be called before any function of Native that needs no handle: whoever has a handle has been here.
        /// </summary>
        /// <exception cref="DllNotFoundException">There is no library, or only one that does not fit.</exception>
        internal static void Load()
        {
            if (loaded)
            {
                return;
            }
            lock (Lock)
            {
                if (!loaded)
                {
                    Check(Open());
                    loaded = true;
                }
            }
        }

        /// <summary>
        /// From now on the runtime finds this very library when it looks for the name: the loader knows it by its soname.
        /// </summary>
        private static IntPtr Open()
        {
            // A second copy would know nothing of the sockets of the first.
            IntPtr library = dlopen(Name(FileName), RTLD_NOW | RTLD_NOLOAD);
            var tried = new StringBuilder();
            foreach (string path in Candidates())
            {
                if (library == IntPtr.Zero && File.Exists(path))
                {
                    library = TryOpen(path, tried);
                }
            }
            if (library == IntPtr.Zero)
            {
                library = TryOpen(FileName, tried);
            }
            if (library == IntPtr.Zero)
            {
                throw new DllNotFoundException(
                    FileName + " cannot be loaded: " + tried + ". Put it beside SslSock.dll, in a folder of " +
                    "LD_LIBRARY_PATH or where ldconfig finds it.");
            }
            return library;
        }

        private static IntPtr TryOpen(string path, StringBuilder tried)
        {
            IntPtr library = dlopen(Name(path), RTLD_NOW);
            if (library == IntPtr.Zero)
            {
                IntPtr error = dlerror();
                tried.Append(tried.Length == 0 ? "" : "; ").Append(error == IntPtr.Zero ? path : Native.Text(error));
            }
            return library;
        }

        /// <summary>Beside the assembly, and where NuGet puts it in a program's folder and in its own.</summary>
        private static IEnumerable<string> Candidates()
        {
            string assembly = typeof(NativeLoader).Assembly.Location;
            var folders = new List<string>();
            if (!string.IsNullOrEmpty(assembly))
            {
                folders.Add(Path.GetDirectoryName(assembly));
            }
            // An assembly inside a single file has no place of its own.
            folders.Add(AppDomain.CurrentDomain.BaseDirectory);
            foreach (string folder in folders)
            {
                yield return Path.Combine(folder, FileName);
                yield return Path.Combine(folder, "runtimes", "linux-x64", "native", FileName);
                // From lib/netstandard2.0 in the package.
                yield return Path.Combine(folder, "..", "..", "runtimes", "linux-x64", "native", FileName);
            }
        }

        private static void Check(IntPtr library)
        {
            IntPtr function = dlsym(library, Name("ssl_abi_version"));
            string where = Where(function);
            if (function == IntPtr.Zero)
            {
                throw new DllNotFoundException(FileName + " is something else: it has no ssl_abi_version.");
            }
            uint abi = Marshal.GetDelegateForFunctionPointer<AbiVersion>(function)();
            if (abi >> 16 != Native.Major || (abi & 0xffff) < Native.Minor)
            {
                IntPtr version = dlsym(library, Name("ssl_version"));
                string name = version == IntPtr.Zero
                    ? "of an unknown version"
                    : Native.Text(Marshal.GetDelegateForFunctionPointer<Version>(version)());
                throw new DllNotFoundException(string.Format(
                    "The library found at {0} is sslsock {1} with ABI {2}.{3}, and this SslSock.dll needs ABI {4}.{5} " +
                    "or a later {4}.x. Install the two of one release.",
                    where, name, abi >> 16, abi & 0xffff, Native.Major, Native.Minor));
            }
        }

        private static string Where(IntPtr function)
        {
            var info = default(Dl_info);
            return function != IntPtr.Zero && dladdr(function, ref info) != 0 && info.dli_fname != IntPtr.Zero
                ? Native.Text(info.dli_fname)
                : FileName;
        }

        private static byte[] Name(string text)
        {
            return Native.Utf8(text, "path");
        }

        [DllImport("libdl.so.2", CallingConvention = CallingConvention.Cdecl)]
        private static extern IntPtr dlopen(byte[] path, int flags);

        [DllImport("libdl.so.2", CallingConvention = CallingConvention.Cdecl)]
        private static extern IntPtr dlsym(IntPtr library, byte[] name);

        [DllImport("libdl.so.2", CallingConvention = CallingConvention.Cdecl)]
        private static extern int dladdr(IntPtr address, ref Dl_info info);

        [DllImport("libdl.so.2", CallingConvention = CallingConvention.Cdecl)]
        private static extern IntPtr dlerror();
    }
}
