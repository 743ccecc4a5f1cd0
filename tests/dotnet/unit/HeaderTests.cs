using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using SslSock;

/// <summary>The assembly has what include/sslsock.h has, with the same types, sizes and numbers.</summary>
static class HeaderTests
{
    private const BindingFlags All = BindingFlags.Static | BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public;

    private static readonly Lazy<string> Header = new Lazy<string>(() =>
        Regex.Replace(File.ReadAllText(Peers.Variable("SSLSOCK_HEADER")), @"//.*$|/\*[\s\S]*?\*/", "", RegexOptions.Multiline));

    private static readonly Type Native = typeof(SslSocket).Assembly.GetType("SslSock.Native");

    internal static void Register(Tests tests)
    {
        tests.Add("header: every function, with its parameters", Functions);
        tests.Add("header: every structure, with sizes and offsets", Structures);
        tests.Add("header: callbacks", Callbacks);
        tests.Add("header: error codes and categories", () =>
        {
            Numbers<SslError>("SSL_ERR_");
            Numbers<SslErrorCategory>("SSL_CATEGORY_");
        });
        tests.Add("header: the other numbers", () =>
        {
            Numbers<SslFlags>("SSL_FLAG_", "None");
            Numbers<SslTimeout>("SSL_TIMEOUT_");
            Numbers<TlsVersion>("SSL_PROTOCOL_");
            Numbers<SslDataPath>("SSL_DATAPATH_");
            Numbers<SslVerdict>("SSL_VERDICT_");
            Numbers<SslCauses>("SSL_CAUSE_", "None");
            Numbers<SslVerifyText>("SSL_TEXT_");
            Numbers<SslLogLevel>("SSL_LOG_");
        });
        tests.Add("header: version of the ABI", AbiVersion);
    }

    private static void Functions()
    {
        var declared = Regex.Matches(Header.Value, @"^((?:const )?\w+ \**)(ssl_\w+)\(([^()]*)\);", RegexOptions.Multiline)
            .Cast<Match>().ToDictionary(match => match.Groups[2].Value);
        Expect.True(declared.Remove("ssl_wce_set_message_box"), "what only C sources for Windows CE have a use for");
        Expect.True(declared.Count > 50, "the header's functions are found");
        var imported = Native.GetMethods(All).Where(method => method.GetCustomAttribute<DllImportAttribute>() != null).ToList();
        Expect.Equal(
            string.Join(" ", declared.Keys.OrderBy(name => name, StringComparer.Ordinal)),
            string.Join(" ", imported.Select(method => method.Name).OrderBy(name => name, StringComparer.Ordinal)), "names");
        foreach (MethodInfo method in imported)
        {
            Match function = declared[method.Name];
            ExpectType(function.Groups[1].Value.Trim(), method.ReturnType, method.Name + "'s result");
            ExpectParameters(function.Groups[3].Value, method);
            Expect.Equal(CallingConvention.Cdecl, method.GetCustomAttribute<DllImportAttribute>().CallingConvention);
        }
    }

    private static void Callbacks()
    {
        var declared = Regex.Matches(Header.Value, @"typedef (\w+) \(\*(\w+)\)\(([^()]*)\);").Cast<Match>()
            .Where(match => match.Groups[2].Value != "ssl_message_box_fn").ToList();
        Expect.Equal(4, declared.Count, "callbacks");
        foreach (Match callback in declared)
        {
            Type type = Native.GetNestedType(callback.Groups[2].Value, All);
            MethodInfo method = type.GetMethod("Invoke");
            ExpectType(callback.Groups[1].Value, method.ReturnType, type.Name + "'s result");
            ExpectParameters(callback.Groups[3].Value, method);
            Expect.Equal(
                CallingConvention.Cdecl, type.GetCustomAttribute<UnmanagedFunctionPointerAttribute>().CallingConvention);
        }
    }

    private static void ExpectParameters(string list, MethodInfo method)
    {
        string text = Regex.Replace(list, @"\s+", " ").Trim();
        string[] wanted = text == "void" || text == "" ? new string[0] : text.Split(new[] { ", " }, StringSplitOptions.None);
        ParameterInfo[] got = method.GetParameters();
        Expect.Equal(wanted.Length, got.Length, method.Name + "'s parameters");
        for (int i = 0; i < wanted.Length; i++)
        {
            Match parameter = Regex.Match(wanted[i], @"^(.*[ *])(\w+)$");
            Expect.Equal(parameter.Groups[2].Value, got[i].Name, "name of a parameter of " + method.Name);
            ExpectType(parameter.Groups[1].Value.Trim(), got[i].ParameterType, method.Name + "'s " + got[i].Name);
        }
    }

    private static void ExpectType(string declared, Type type, string what)
    {
        bool right;
        if (declared.EndsWith("**") || declared.EndsWith("*"))
        {
            string target = declared.Replace("const ", "").TrimEnd('*', ' ');
            right = type == typeof(IntPtr) ||
                type.IsByRef && IsSame(target, type.GetElementType(), declared.EndsWith("**")) ||
                type == typeof(byte[]) && (target == "char" || target == "void" || target == "uint8_t") ||
                type == typeof(SslSocket) && target == "ssl_socket" && !declared.EndsWith("**");
        }
        else
        {
            right = IsSame(declared, type, false);
        }
        Expect.True(right, what + ": " + declared + " is not " + type);
    }

    private static bool IsSame(string declared, Type type, bool isPointer)
    {
        if (isPointer)
        {
            return type == typeof(IntPtr);
        }
        var known = new Dictionary<string, Type>
        {
            { "void", typeof(void) }, { "int32_t", typeof(int) }, { "uint32_t", typeof(uint) }, { "size_t", typeof(UIntPtr) },
            { "ptrdiff_t", typeof(IntPtr) }, { "uint8_t", typeof(byte) }, { "uint16_t", typeof(ushort) },
            { "int64_t", typeof(long) }, { "char", typeof(byte) }
        };
        // A buffer as a reference to its first byte.
        return known.ContainsKey(declared) && known[declared] == type || type.Name == declared ||
            declared == "void" && type == typeof(byte);
    }

    private static void Structures()
    {
        var structures = Regex.Matches(Header.Value, @"typedef struct \{([^}]*)\} (\w+);").Cast<Match>().ToList();
        Expect.Equal(4, structures.Count, "structures");
        foreach (Match structure in structures)
        {
            Type type = Native.GetNestedType(structure.Groups[2].Value, All);
            Expect.True(type != null, structure.Groups[2].Value + " is there");
            ExpectLayout(structure.Groups[1].Value, type);
        }
    }

    private static void ExpectLayout(string body, Type type)
    {
        int offset = 0, largest = 1;
        var names = new List<string>();
        foreach (Match field in Regex.Matches(body, @"(\w+) (\**)(\w+)(?:\[(\d+)\])?;"))
        {
            int size = field.Groups[2].Length > 0 ? 8 : Size(field.Groups[1].Value);
            int count = field.Groups[4].Success ? int.Parse(field.Groups[4].Value) : 1;
            offset = (offset + size - 1) / size * size;
            names.Add(field.Groups[3].Value);
            Expect.Equal(offset, (int)Marshal.OffsetOf(type, field.Groups[3].Value), type.Name + "." + field.Groups[3].Value);
            offset += size * count;
            largest = Math.Max(largest, size);
        }
        Expect.Equal(string.Join(" ", names), string.Join(" ", type.GetFields(All).Select(field => field.Name)), type.Name);
        Expect.Equal((offset + largest - 1) / largest * largest, Marshal.SizeOf(type), "size of " + type.Name);
    }

    private static int Size(string type)
    {
        return type == "char" ? 1 : int.Parse(Regex.Match(type, @"\d+").Value) / 8;
    }

    private static void Numbers<T>(string prefix, params string[] ownNames)
    {
        var defined = Regex.Matches(Header.Value, "^#define " + prefix + @"(\w+) (\d+)$", RegexOptions.Multiline).Cast<Match>()
            .Select(match => match.Groups[1].Value.Replace("_", "").ToLowerInvariant() + " " + match.Groups[2].Value);
        var got = Enum.GetNames(typeof(T)).Except(ownNames)
            .Select(name => name.ToLowerInvariant() + " " + Convert.ToInt32(Enum.Parse(typeof(T), name)));
        Expect.True(defined.Any(), prefix + " is in the header");
        Expect.Equal(
            string.Join(", ", defined.OrderBy(text => text, StringComparer.Ordinal)),
            string.Join(", ", got.OrderBy(text => text, StringComparer.Ordinal)), prefix);
    }

    private static void AbiVersion()
    {
        int declared = int.Parse(Regex.Match(Header.Value, @"#define SSL_ABI_VERSION (\d+)").Groups[1].Value);
        Expect.Equal(declared >> 16, (int)Native.GetField("Major", All).GetRawConstantValue(), "major");
        Expect.Equal(declared & 0xffff, (int)Native.GetField("Minor", All).GetRawConstantValue(), "minor");
        Expect.Equal(declared, SslSocket.AbiVersion, "the library's");
    }
}
