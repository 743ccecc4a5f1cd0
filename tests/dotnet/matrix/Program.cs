using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using SslSock;

namespace Matrix
{
    internal static class Program
    {
        private static int Main(string[] arguments)
        {
            SslDefaults.AddTrustFile(Path.Combine(Environment.GetEnvironmentVariable("SSLSOCK_PKI"), "ca.pem"));
            List<Way> ways = arguments[1].Split(',').Select(name => (Way)Enum.Parse(typeof(Way), name)).ToList();
            return Features.Run(ways, arguments.Skip(2).ToList());
        }
    }
}
