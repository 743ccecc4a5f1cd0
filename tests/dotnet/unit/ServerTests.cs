using System;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading.Tasks;
using SslSock;

/// <summary>The server role against clients of Python's, and settings that both roles have.</summary>
static class ServerTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("server: name and protocol that the client asks for", NameAndProtocol);
        tests.Add("server: the certificate for the name", CertificateForTheName);
        tests.Add("server: a client certificate is demanded", () => Demanded(SslFlags.AuthClient));
        tests.Add("server: a client certificate is asked for", () => Demanded(SslFlags.AskClient));
        tests.Add("server: whom to believe has to be said", WhomToBelieve);
        tests.Add("server: the hook decides about a client", HookDecides);
        tests.Add("protocols of the application", Alpn);
        tests.Add("versions of TLS", Versions);
        tests.Add("post-quantum key exchange", PostQuantum);
        tests.Add("key log", KeyLog);
    }

    /// <summary>
    /// Accepts one connection of the client, which says what it has seen; `prepare` makes the server's settings.
    /// </summary>
    private static string Serve(
        string clients, Action<SslSocket> prepare, Action<SslSocket> then, SslFlags flags = SslFlags.None)
    {
        using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        using (Socket client = Peers.Connect("SSLSOCK_CLIENT"))
        {
            listener.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
            listener.Listen(1);
            Peers.Send(client, ((System.Net.IPEndPoint)listener.LocalEndPoint).Port + " " + clients + "\n");
            using (Socket socket = listener.Accept())
            {
                SslSocket server = SslSocket.For(socket);
                server.Flags = SslFlags.Server | flags;
                server.SetIdentityFile(Peers.Pki("server-chain.pem"), Peers.Pki("server.key"));
                prepare(server);
                try
                {
                    server.PerformHandshake();
                    Peers.Send(socket, "welcome\n");
                }
                catch (SslSocketException)
                {
                    // It is the handle's, too.
                }
                then(server);
            }
            return Peers.ReadLine(client);
        }
    }

    private static void NameAndProtocol()
    {
        string seen = Serve("mail.test http/1.1,imap -", server => server.SetAlpn("imap", "http/1.1"), server =>
        {
            Expect.Equal("mail.test", server.ServerName);
            Expect.Equal("imap", server.SessionInfo.Alpn);
        });
        Expect.Equal("TLSv1.3 imap mail.test welcome", seen);
        // An address is no name that could be asked for.
        Serve("127.0.0.1 - -", server => { }, server =>
        {
            Expect.Equal("", server.ServerName);
            Expect.Equal("", server.SessionInfo.Alpn);
        });
        SslHelper helper;
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            Peers.ExpectCode(SslError.State, () => GC.KeepAlive(SslSocket.For(socket).ServerName));
        }
        using (Peers.Echo(out helper))
        {
            Peers.ExpectCode(SslError.State, () => GC.KeepAlive(helper.SslSocket.ServerName));
        }
    }

    private static void CertificateForTheName()
    {
        foreach (string name in new[] { "mail.test", "other.test" })
        {
            string seen = Serve(
                name + " - -", server => server.AddIdentityFile(Peers.Pki("other.pem"), Peers.Pki("other.key")), server => { });
            Expect.Equal("TLSv1.3 None " + name + " welcome", seen);
        }
    }

    private static void Demanded(SslFlags flag)
    {
        Action<SslSocket> prepare = server => server.AddTrustFile(Peers.Pki("ca.pem"));
        string seen = Serve("mail.test - client", prepare, server =>
        {
            Expect.Equal(SslVerdict.Trusted, server.VerifyReport.Verdict);
            Expect.Equal("CN=user", server.GetVerifyText(SslVerifyText.Subject));
        }, flag);
        Expect.Equal("TLSv1.3 None mail.test welcome", seen);

        bool isDemanded = flag == SslFlags.AuthClient;
        seen = Serve("mail.test - -", prepare, server =>
        {
            Expect.Equal(!isDemanded, server.IsSecure, "secure");
            if (isDemanded)
            {
                Expect.Equal((int)SslError.NoCert, server.Error.Code, "code of " + server.Error);
            }
        }, flag);
        Expect.Equal(isDemanded, seen.StartsWith("failed: "), seen);

        // One that is shown has to be good.
        seen = Serve("mail.test - client", server => server.AddTrustFile(Peers.Pki("other.pem")), server =>
        {
            Expect.Equal((int)SslError.CertUnknown, server.Error.Code, "code of " + server.Error);
        }, flag);
        Expect.True(seen.StartsWith("failed: "), seen);
    }

    private static void WhomToBelieve()
    {
        Socket near, far;
        Peers.Pair(out near, out far);
        using (near)
        using (far)
        {
            // No trust of the defaults: other tests have set some.
            SslSocket server = SslSocket.For(far);
            server.Flags = SslFlags.Server | SslFlags.AuthClient;
            Peers.ExpectCode(SslError.BadData, () => server.AddTrustPem(new byte[1]));
            server.SetIdentityFile(Peers.Pki("server-chain.pem"), Peers.Pki("server.key"));
            Peers.ExpectCode(SslError.BadData, () => server.PerformHandshake());
            Peers.ExpectDead(far);
        }
    }

    private static void HookDecides()
    {
        foreach (int answer in new[] { 0, (int)SslError.CertRevoked })
        {
            byte[] asked = null;
            string seen = Serve("mail.test - client", server =>
            {
                server.AddTrustFile(Peers.Pki("other.pem"));
                server.SetValidateCertHook((type, argument, length, chain, flags) =>
                {
                    asked = server.GetPeerCertificate();
                    Expect.Equal(1u, flags, "flags");
                    return answer;
                });
            }, server =>
            {
                Expect.Equal(answer == 0, server.IsSecure, "secure");
                Expect.True(answer == 0 || server.Error.Code == answer, "code of " + server.Error);
            }, SslFlags.AuthClient);
            Expect.Bytes(File.ReadAllBytes(Peers.Pki("client.der")), asked, "the client's certificate");
            Expect.Equal(answer == 0, seen.EndsWith(" welcome"), seen);
        }
    }

    private static void Alpn()
    {
        foreach (string wanted in new[] { "http/1.1", "ftp", "" })
        {
            using (Socket socket = Peers.Connect("SSLSOCK_RESUMING"))
            {
                SslHelper helper = Peers.Helper(socket);
                helper.SslSocket.SetAlpn("ftp", "http/1.1");
                helper.SslSocket.SetAlpn(wanted == "" ? new string[0] : new[] { wanted });
                helper.DoHandshake();
                Expect.Equal(wanted, helper.SslSocket.SessionInfo.Alpn);
            }
        }
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            Expect.Throws<ArgumentNullException>(() => handle.SetAlpn(null));
            foreach (string wrong in new[] { "", null, new string('x', 256) })
            {
                Expect.Throws<ArgumentException>(() => handle.SetAlpn("h2", wrong));
            }
        }
    }

    private static void Versions()
    {
        foreach (var version in new[] { TlsVersion.Tls12, TlsVersion.Tls13 })
        {
            using (Socket socket = Peers.AfterStartTls())
            {
                SslHelper helper = Peers.Helper(socket);
                helper.SslSocket.SetProtocols(version, version);
                helper.DoHandshake();
                Expect.Equal((int)version, helper.SslSocket.SessionInfo.Protocol, "version");
            }
            string seen = Serve("mail.test - -", server => server.SetProtocols(version, version), server => { });
            Expect.Equal(version == TlsVersion.Tls12 ? "TLSv1.2" : "TLSv1.3", seen.Split(' ')[0]);
        }
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            Peers.ExpectCode(SslError.Invalid, () => handle.SetProtocols(TlsVersion.Tls13, TlsVersion.Tls12));
            Peers.ExpectCode(SslError.Invalid, () => handle.SetProtocols((TlsVersion)0x0301, TlsVersion.Tls12));
            Peers.ExpectCode(SslError.Invalid, () => handle.SetProtocols(TlsVersion.Tls12, (TlsVersion)0x10304));
        }
    }

    private static void PostQuantum()
    {
        foreach (SslFlags flag in new[] { SslFlags.None, SslFlags.NoPostQuantum })
        {
            Socket near, far;
            Peers.Pair(out near, out far);
            using (near)
            using (far)
            {
                SslSocket server = SslSocket.For(far);
                server.Flags = SslFlags.Server;
                server.SetIdentityFile(Peers.Pki("server-chain.pem"), Peers.Pki("server.key"));
                Task<SslError> served = server.PerformHandshakeAsync();
                SslSocket client = SslSocket.For(near);
                client.AddTrustFile(Peers.Pki("ca.pem"));
                client.Flags = flag;
                client.PerformHandshake(Peers.Name);
                served.Wait();
                Expect.Equal(flag == SslFlags.None ? "X25519MLKEM768" : "X25519", client.SessionInfo.GroupName);
            }
        }
    }

    private static void KeyLog()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            using (Socket socket = Peers.AfterStartTls())
            {
                SslHelper helper = Peers.Helper(socket);
                helper.SslSocket.SetKeyLogFile(path);
                helper.DoHandshake();
            }
            string[] lines = File.ReadAllLines(path);
            Expect.True(lines.Any(line => line.StartsWith("CLIENT_TRAFFIC_SECRET_0 ")), string.Join("\n", lines.Select(
                line => line.Split(' ')[0])));
            using (Socket socket = Peers.AfterStartTls())
            {
                SslHelper helper = Peers.Helper(socket);
                helper.SslSocket.SetKeyLogFile(path);
                helper.SslSocket.SetKeyLogFile(null);
                Peers.ExpectCode(SslError.Io, () => helper.SslSocket.SetKeyLogFile("/nonexistent/log"));
                helper.DoHandshake();
            }
            Expect.Equal(lines.Length, File.ReadAllLines(path).Length, "lines after another handshake");
        }
        finally
        {
            File.Delete(path);
        }
    }
}
