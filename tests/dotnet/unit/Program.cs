using System;
using SslSock;

/// <summary>
/// Tests of the assembly. Arguments choose tests by parts of their names; "--version" prints the library's.
/// </summary>
static class Program
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length == 1 && arguments[0] == "--version")
        {
            return PrintVersion();
        }
        var tests = new Tests();
        HeaderTests.Register(tests);
        ErrorTests.Register(tests);
        HookTests.Register(tests);
        LifeTests.Register(tests);
        ExplicitTests.Register(tests);
        StaticHelperTests.Register(tests);
        InformationTests.Register(tests);
        return tests.Run(arguments);
    }

    /// <summary>For the tests of how the library is found.</summary>
    private static int PrintVersion()
    {
        try
        {
            Console.WriteLine(SslSocket.Version);
            return 0;
        }
        catch (DllNotFoundException error)
        {
            Console.WriteLine(error.Message);
            return 1;
        }
    }
}
