using System;
using System.Collections.Generic;
using System.Net.Sockets;
using SslSock;

/// <summary>
/// Tests of the assembly. Arguments choose tests by parts of their names; "--version" prints the library's.
/// </summary>
static class Program
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length == 2 && arguments[0] == "--first")
        {
            return CallFirst(arguments[1]);
        }
        var tests = new Tests();
        HeaderTests.Register(tests);
        ErrorTests.Register(tests);
        HookTests.Register(tests);
        // Before those that trust by default, for the whole process.
        SessionTests.Register(tests);
        IdentityTests.Register(tests);
        ServerTests.Register(tests);
        TrustTests.Register(tests);
        ValidationTests.Register(tests);
        LifeTests.Register(tests);
        ExplicitTests.Register(tests);
        StaticHelperTests.Register(tests);
        InformationTests.Register(tests);
        TrustTests.RegisterDefaults(tests);
        return tests.Run(arguments);
    }

    /// <summary>For the tests of how the library is found: this call of the assembly is the first.</summary>
    private static int CallFirst(string name)
    {
        try
        {
            First[name]();
            Console.WriteLine("found " + SslSocket.Version);
            return 0;
        }
        catch (DllNotFoundException error)
        {
            Console.WriteLine(error.Message);
            return 1;
        }
    }

    private static readonly Dictionary<string, Action> First = new Dictionary<string, Action>
    {
        { "Version", () => GC.KeepAlive(SslSocket.Version) },
        { "AbiVersion", () => GC.KeepAlive(SslSocket.AbiVersion) },
        { "FlushAll", () => SslSocket.FlushAll(0) },
        { "SetLogCallback", () => SslSocket.SetLogCallback(SslLogLevel.Info, null) },
        { "For", () => SslSocket.For(NewSocket()) },
        { "Nested", () => SslSocket.Nested(NewSocket()) },
        { "FromDescriptor", () => SslSocket.FromDescriptor((int)NewSocket().Handle) },
        { "SslDefaults", SslDefaults.UseSystemTrust },
        { "SslHelper", () => new SslHelper(NewSocket(), "mail.test", true) },
        { "StaticHelper", () => SslSock.StaticHelper.SslHelper.SetSslSocket(NewSocket(), (a, b, c, d, e) => 0, true) },
        { "CompatSocket", SecureSocket }
    };

    private static Socket NewSocket()
    {
        return new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    }

    private static void SecureSocket()
    {
        const int SO_SECURE = 0x2001, SO_SEC_SSL = 0x2004;
        new SslSock.Compat.Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp).SetSocketOption(
            SocketOptionLevel.Socket, (SocketOptionName)SO_SECURE, SO_SEC_SSL);
    }
}
