using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using SslSock;

/// <summary>What can be asked: session, certificate, addresses, versions, log; and the defaults.</summary>
static class InformationTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("session of TLS 1.3", () => Session("SSLSOCK_PEER", 0x0304, "TLSv1.3"));
        tests.Add("session of TLS 1.2", () => Session("SSLSOCK_PEER_TLS12", 0x0303, "TLSv1.2"));
        tests.Add("data path", DataPath);
        tests.Add("report and certificates", Report);
        tests.Add("texts about the certificate", Texts);
        tests.Add("addresses over IPv4", () => Addresses("SSLSOCK_PEER"));
        tests.Add("addresses over IPv6", () => Addresses("SSLSOCK_PEER6"));
        tests.Add("addresses over AF_UNIX", () => Addresses("SSLSOCK_PEER_UNIX"));
        tests.Add("address of a path", UnixEndPoint);
        tests.Add("versions", Versions);
        tests.Add("log", Log);
        tests.Add("the real connection's descriptor", TransportDescriptor);
        tests.Add("flushing", Flush);
        tests.Add("defaults: trust, limit, flags, name", Defaults);
        tests.Add("defaults: hook", DefaultHook);
    }

    private static void Session(string variable, int protocol, string name)
    {
        EndPoint endPoint = Peers.Address(variable);
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            SslHelper helper = new SslHelper(socket, Peers.Name, true);
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            helper.Connect(endPoint);
            SessionInfo session = helper.SslSocket.SessionInfo;
            Expect.Equal(protocol, session.Protocol, "protocol");
            Expect.Equal(name, session.ProtocolName);
            Expect.True(session.SuiteName.StartsWith("TLS_"), session.SuiteName);
            Expect.True(session.Suite > 0 && session.Group > 0, "suite and group have numbers");
            Expect.Equal("", session.Alpn);
            Expect.Equal(name + ", " + session.SuiteName + ", " + session.GroupName, session.ToString());
        }
    }

    private static void DataPath()
    {
        foreach (var path in new Dictionary<SslFlags, SslDataPath>
        {
            { SslFlags.None, SslDataPath.TransparentTcp },
            { SslFlags.UnixPair, SslDataPath.TransparentUnix },
            { SslFlags.ExplicitIo, SslDataPath.Explicit }
        })
        {
            using (Socket socket = Peers.AfterStartTls())
            {
                SslSocket handle = SslSocket.For(socket);
                handle.AddTrustFile(Peers.Pki("ca.pem"));
                handle.Flags = path.Key;
                Expect.Equal(path.Key, handle.Flags);
                handle.PerformHandshake(Peers.Name);
                Expect.Equal(path.Value, handle.SessionInfo.DataPath);
            }
        }
    }

    private static void Report()
    {
        SslHelper helper;
        using (Peers.Echo(out helper))
        {
            VerifyReport report = helper.SslSocket.VerifyReport;
            Expect.Equal(SslVerdict.Trusted, report.Verdict);
            Expect.Equal(SslCauses.None, report.Causes);
            Expect.Equal(2, report.ChainLength, "chain");
            Expect.Equal(DateTimeKind.Utc, report.NotBefore.Kind);
            Expect.True(report.NotBefore <= DateTime.UtcNow && DateTime.UtcNow < report.NotAfter, "it is valid now");
            Expect.Equal(30.0, (report.NotAfter - report.NotBefore).TotalDays, "days");
            Expect.Equal(
                Peers.Variable("SSLSOCK_SPKI"), BitConverter.ToString(report.GetSpkiSha256()).Replace("-", "").ToLowerInvariant());
            Expect.Bytes(Der("server.pem"), helper.SslSocket.GetPeerCertificate(), "the peer's own");
            Expect.Bytes(Der("intermediate.pem"), helper.SslSocket.GetPeerCertificate(1), "the intermediate one");
            Peers.ExpectCode(SslError.Invalid, () => helper.SslSocket.GetPeerCertificate(2));
        }
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            Peers.ExpectCode(SslError.State, () => GC.KeepAlive(SslSocket.For(socket).VerifyReport));
        }
    }

    private static byte[] Der(string file)
    {
        var lines = File.ReadAllLines(Peers.Pki(file)).SkipWhile(line => !line.StartsWith("-----BEGIN")).Skip(1);
        return Convert.FromBase64String(string.Concat(lines.TakeWhile(line => !line.StartsWith("-----END"))));
    }

    private static void Texts()
    {
        SslHelper helper;
        using (Peers.Echo(out helper))
        {
            SslSocket handle = helper.SslSocket;
            Expect.Equal(Peers.Name, handle.GetVerifyText(SslVerifyText.Expected));
            Expect.Equal("CN=mail.test", handle.GetVerifyText(SslVerifyText.Subject));
            Expect.Equal("CN=sslsock test intermediate", handle.GetVerifyText(SslVerifyText.Issuer));
            Expect.Equal("", handle.GetVerifyText(SslVerifyText.Summary));
            Expect.Equal("mail.test", handle.GetVerifyText(SslVerifyText.Presented));
            Expect.Equal("localhost", handle.GetVerifyText(SslVerifyText.Presented, 1));
            Peers.ExpectCode(SslError.Invalid, () => handle.GetVerifyText(SslVerifyText.Presented, 99));
            Expect.Throws<OverflowException>(() => handle.GetVerifyText(SslVerifyText.Presented, -1));
        }
    }

    private static void Addresses(string variable)
    {
        EndPoint expected = Peers.Address(variable);
        using (Socket socket = Peers.AfterStartTls(null, variable))
        {
            var helper = new SslHelper(socket, Peers.Name, true);
            SslSocket handle = helper.SslSocket;
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            EndPoint local = helper.LocalEndPoint;
            if (local is IPEndPoint)
            {
                Expect.Equal(socket.LocalEndPoint, local, "local, before");
            }
            Expect.Equal(expected, helper.RemoteEndPoint, "before");
            helper.DoHandshake();
            Expect.Equal(expected, helper.RemoteEndPoint, "the helper's");
            Expect.Equal(expected, handle.RemoteEndPoint, "the handle's");
            Expect.Equal(expected, new SslHelper(socket, Peers.Name, true).RemoteEndPoint, "another helper's");
            Expect.Equal(local, helper.LocalEndPoint, "the helper's, local");
            handle.Dispose();
            Expect.Equal(expected, handle.RemoteEndPoint, "the handle's after it was disposed");
            Expect.Equal(expected, helper.RemoteEndPoint, "the helper's after that");
            Expect.Equal(local, helper.LocalEndPoint, "the helper's after that, local");
        }
    }

    private static void UnixEndPoint()
    {
        foreach (string path in new[] { "", "/tmp/a b", "\0abstract\0name" })
        {
            var endPoint = new SslUnixEndPoint(path);
            Expect.Equal(AddressFamily.Unix, endPoint.AddressFamily);
            Expect.Equal(endPoint, endPoint.Create(endPoint.Serialize()), "there and back");
            Expect.Equal(endPoint.GetHashCode(), endPoint.Create(endPoint.Serialize()).GetHashCode(), "hash");
        }
        Expect.Equal("/tmp/a b", new SslUnixEndPoint("/tmp/a b").ToString());
        Expect.Equal("@x", new SslUnixEndPoint("\0x").ToString());
        Expect.Throws<ArgumentNullException>(() => new SslUnixEndPoint(null));
        GC.KeepAlive(new SslUnixEndPoint(new string('a', 107)));
        Expect.Throws<ArgumentOutOfRangeException>(() => new SslUnixEndPoint(new string('a', 108)));
    }

    private static void Versions()
    {
        Expect.Equal(Peers.Variable("SSLSOCK_VERSION"), SslSocket.Version);
        Expect.True(SslSocket.AbiVersion >> 16 == 0 && SslSocket.AbiVersion > 2, "ABI 0.3 or later");
    }

    private static void Log()
    {
        var seen = new List<KeyValuePair<SslLogLevel, string>>();
        try
        {
            SslSocket.SetLogCallback(SslLogLevel.Info, (level, text) =>
            {
                seen.Add(new KeyValuePair<SslLogLevel, string>(level, text));
                // What it throws does no harm.
                throw new FormatException();
            });
            GC.Collect();
            SslHelper helper;
            using (Socket socket = Peers.Echo(out helper))
            {
                Peers.Exchange(socket, "one");
            }
            Expect.Equal(1, seen.Count, "messages");
            Expect.Equal(SslLogLevel.Info, seen[0].Key);
            Expect.Contains("TLSv1.3", seen[0].Value);
        }
        finally
        {
            SslSocket.SetLogCallback(SslLogLevel.Off, null);
        }
        int count = seen.Count;
        SslHelper silent;
        using (Peers.Echo(out silent))
        {
            Expect.Equal(count, seen.Count, "messages after the end of logging");
        }
    }

    private static void TransportDescriptor()
    {
        SslHelper helper;
        using (Socket socket = Peers.Echo(out helper))
        {
            int number;
            using (SslTransportDescriptor descriptor = helper.SslSocket.GetTransportDescriptor())
            {
                number = descriptor.Number;
                Expect.True(descriptor.Number >= 0 && descriptor.Number != (int)socket.Handle, "a number of its own");
                Expect.True(fcntl(number, F_GETFD) >= 0, number + " is open");
            }
            Expect.Equal(-1, fcntl(number, F_GETFD), number + " is closed");
            Peers.Exchange(socket, "still there");
        }
    }

    private const int F_GETFD = 1;

    [DllImport("libc")]
    private static extern int fcntl(int descriptor, int command);

    private static void Flush()
    {
        SslHelper helper;
        using (Socket socket = Peers.Echo(out helper))
        {
            Peers.Exchange(socket, "one");
            Expect.Equal(0, SslSocket.FlushAll(30000), "unfinished");
            Expect.Throws<ArgumentOutOfRangeException>(() => SslSocket.FlushAll(-2));
            SslSocket.SetRelayThreads(2);
            SslSocket.SetRelayThreads(0);
            Expect.Throws<ArgumentOutOfRangeException>(() => SslSocket.SetRelayThreads(-1));
            Expect.Throws<SslSocketException>(() => SslSocket.SetRelayThreads(257));
        }
        using (Socket socket = Peers.AfterStartTls())
        {
            Peers.Helper(socket).DoHandshake();
            // The peer reads nothing.
            Peers.Send(socket, "hold\n");
            socket.SendTimeout = 300;
            var block = new byte[1 << 20];
            Expect.Throws<SocketException>(() =>
            {
                for (int i = 0; i < 64; i++)
                {
                    socket.Send(block);
                }
            });
            Expect.Equal(1, SslSocket.FlushAll(0), "unfinished");
        }
    }

    private static void Defaults()
    {
        // They are of the whole process, and no other test runs beside this one.
        try
        {
            SslDefaults.AddTrustFile(Peers.Pki("ca.pem"));
            SslDefaults.PeerName = Peers.Name;
            Expect.Equal(Peers.Name, SslDefaults.PeerName);
            SslDefaults.Flags = SslFlags.UnixPair;
            Expect.Equal(SslFlags.UnixPair, SslDefaults.Flags);
            using (Socket socket = Peers.AfterStartTls())
            {
                SslSocket handle = SslSocket.For(socket);
                Expect.Equal(Peers.Name, handle.PeerName);
                handle.PerformHandshake();
                Expect.Equal(SslDataPath.TransparentUnix, handle.SessionInfo.DataPath);
                Peers.Send(socket, "echo\n");
                Peers.Exchange(socket, "by the defaults");
            }
            // A helper's name goes before that of the defaults.
            using (Socket socket = Peers.AfterStartTls())
            {
                new SslHelper(socket, "localhost", true).DoHandshake();
            }
            SslDefaults.SetTimeout(SslTimeout.Handshake, 200);
            using (Socket socket = Peers.Recorded("silent"))
            {
                var error = Expect.Throws<SslSocketException>(new SslHelper(socket, Peers.Name, true).DoHandshake);
                Expect.Contains("200 ms", error.Text);
            }
        }
        finally
        {
            SslDefaults.PeerName = null;
            SslDefaults.Flags = SslFlags.None;
            SslDefaults.SetTimeout(SslTimeout.Handshake, 30000);
        }
        Expect.Throws<SslSocketException>(() => SslDefaults.AddTrustPem(new byte[3]));
        SslDefaults.AddTrustFile(Peers.Pki("ca.pem"));
    }

    private static void DefaultHook()
    {
        int calls = 0;
        try
        {
            SslDefaults.SetValidateCertHook((type, argument, length, chain, flags) =>
            {
                calls++;
                return argument == (IntPtr)5 ? 0 : 2;
            }, (IntPtr)5);
            GC.Collect();
            using (Socket socket = Peers.Recorded("serve unknown"))
            {
                new SslHelper(socket, Peers.Name, true).DoHandshake();
                Expect.Equal(1, calls, "calls");
            }
            SslDefaults.SetValidateCertHook((type, argument, length, chain, flags) => { throw new FormatException(); });
            using (Socket socket = Peers.Recorded("serve unknown"))
            {
                var error = Expect.Throws<SslSocketException>(new SslHelper(socket, Peers.Name, true).DoHandshake);
                Expect.True(error.InnerException is FormatException, "it is the InnerException");
            }
        }
        finally
        {
            SslDefaults.SetValidateCertHook(null);
        }
        using (Socket socket = Peers.Recorded("serve unknown"))
        {
            Expect.Throws<SslSocketException>(new SslHelper(socket, Peers.Name, true).DoHandshake);
        }
    }
}
