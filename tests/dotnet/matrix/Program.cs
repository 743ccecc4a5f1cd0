using System;
using System.Globalization;
using System.IO;
using System.Linq;
using SslSock;

namespace Matrix
{
    /// <summary>
    /// What .NET programs do with sockets, in clear and after an upgrade: tests/dotnet/matrix.py starts it.
    /// </summary>
    /// <remarks>
    /// features WAYS [WORDS]   every feature with one of the words in its name, in each way (with commas between)
    /// check NAME              one of the checks of upgraded sockets
    /// ending HOW BYTES FLAGS  sends and ends
    /// unhandled WAY           ends by an exception
    /// </remarks>
    internal static class Program
    {
        private static int Main(string[] arguments)
        {
            SslDefaults.AddTrustFile(Path.Combine(Environment.GetEnvironmentVariable("SSLSOCK_PKI"), "ca.pem"));
            switch (arguments[0])
            {
                case "features":
                    return Features.Run(arguments[1].Split(',').Select(WayOf).ToList(), arguments.Skip(2).ToList());
                case "check":
                    return Checks.Run(arguments[1]);
                case "ending":
                    return Ends.Run(arguments[1], Number(arguments[2]), Number(arguments[3]));
                case "unhandled":
                    return Ends.Unhandled(WayOf(arguments[1]));
                default:
                    throw new ArgumentException("what is to be done: " + arguments[0]);
            }
        }

        private static Way WayOf(string name)
        {
            return (Way)Enum.Parse(typeof(Way), name);
        }

        private static int Number(string text)
        {
            return text.StartsWith("0x", StringComparison.Ordinal)
                ? int.Parse(text.Substring(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
                : int.Parse(text, CultureInfo.InvariantCulture);
        }
    }
}
