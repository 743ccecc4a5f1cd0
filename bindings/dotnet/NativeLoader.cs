using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
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
                    IntPtr library = Open();
                    Check(library);
                    CheckThatItIsTheRuntimes(library);
                    loaded = true;
                }
            }
        }

        /// <summary>
        /// In the order in which the runtimes look: beside the assembly, then what the process has already, which the
        /// loader knows by its soname. So they find what is opened here, and there is never a second copy, which would
        /// know nothing of the sockets of the first.
        /// </summary>
        private static IntPtr Open()
        {
            var tried = new StringBuilder();
            IntPtr library = FirstOf("", tried);
            if (library == IntPtr.Zero)
            {
                library = dlopen(Name(FileName), RTLD_NOW | RTLD_NOLOAD);
            }
            if (library == IntPtr.Zero)
            {
                library = FirstOf(Path.Combine("runtimes", "linux-x64", "native"), tried);
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

        /// <summary>Below the folders of the assembly, of its package and of the program.</summary>
        private static IntPtr FirstOf(string subfolder, StringBuilder tried)
        {
            foreach (string folder in Folders())
            {
                string path = Path.Combine(folder, subfolder, FileName);
                IntPtr library = File.Exists(path) ? TryOpen(path, tried) : IntPtr.Zero;
                if (library != IntPtr.Zero)
                {
                    return library;
                }
            }
            return IntPtr.Zero;
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

        private static IEnumerable<string> Folders()
        {
            string assembly = typeof(NativeLoader).Assembly.Location;
            // An assembly inside a single file has no place of its own.
            if (!string.IsNullOrEmpty(assembly))
            {
                string folder = Path.GetDirectoryName(assembly);
                yield return folder;
                // In the package it is in lib/netstandard2.0. Elsewhere a folder that far above may be anybody's.
                string above = Path.GetDirectoryName(folder);
                if (Path.GetFileName(above) == "lib")
                {
                    yield return Path.GetDirectoryName(above);
                }
            }
            yield return AppDomain.CurrentDomain.BaseDirectory;
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

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void CheckThatItIsTheRuntimes(IntPtr library)
        {
            IntPtr version = dlsym(library, Name("ssl_version"));
            IntPtr found = Native.ssl_version();
            // A static text of the library.
            if (Marshal.GetDelegateForFunctionPointer<Version>(version)() != found)
            {
                throw new DllNotFoundException(
                    "There are two copies of " + FileName + ": " + Where(version) + " and " + Where(found) + ". Remove one.");
            }
        }

        private static string Where(IntPtr address)
        {
            var info = default(Dl_info);
            return address != IntPtr.Zero && dladdr(address, ref info) != 0 && info.dli_fname != IntPtr.Zero
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
