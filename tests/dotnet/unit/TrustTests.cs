using System;
using System.Collections.Generic;
using System.IO;
using System.Net.Sockets;
using SslSock;

/// <summary>Whom to believe: certificates, pins, revocation lists; and chains without a connection.</summary>
static class TrustTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("trust: a folder", Folder);
        tests.Add("trust: DER", Der);
        tests.Add("trust: pins", Pins);
        tests.Add("trust: no hook accepts another key than the pinned", PinsBeforeHooks);
        tests.Add("trust: revocation lists", RevocationLists);
        tests.Add("trust: a chain without a connection", ChainAlone);
        tests.Add("trust: a chain inside a hook", ChainInHook);
        tests.Add("trust: a chain that is none", NoChain);
    }

    /// <summary>What they trust they trust to the end.</summary>
    internal static void RegisterDefaults(Tests tests)
    {
        tests.Add("defaults: trust, pins, versions, protocols, identities", Defaults);
    }

    private static void ExpectTrusted(Action<SslSocket> prepare)
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = SslSocket.For(socket);
            prepare(handle);
            handle.PerformHandshake(Peers.Name);
            Expect.Equal(SslVerdict.Trusted, handle.VerifyReport.Verdict);
        }
    }

    private static SslSocketException ExpectRefused(SslError code, Action<SslSocket> prepare)
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = SslSocket.For(socket);
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            prepare(handle);
            SslSocketException error = Peers.ExpectCode(code, () => handle.PerformHandshake(Peers.Name));
            Peers.ExpectDead(socket);
            return error;
        }
    }

    private static void Folder()
    {
        ExpectTrusted(handle => handle.AddTrustDirectory(Peers.Pki("roots")));
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            Peers.ExpectCode(SslError.BadData, () => handle.AddTrustDirectory(Peers.Pki("empty")));
            Peers.ExpectCode(SslError.Io, () => handle.AddTrustDirectory("/nonexistent"));
            Expect.Throws<ArgumentNullException>(() => handle.AddTrustDirectory(null));
        }
    }

    private static void Der()
    {
        ExpectTrusted(handle => handle.AddTrustFile(Peers.Pki("ca.der")));
        ExpectTrusted(handle => handle.AddTrustPem(File.ReadAllBytes(Peers.Pki("ca.der"))));
    }

    private static void Pins()
    {
        string pin = Peers.Variable("SSLSOCK_SPKI");
        ExpectTrusted(handle =>
        {
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.AddPin(new byte[32]);
            handle.AddPin(pin);
        });
        byte[] key = null;
        ExpectTrusted(handle =>
        {
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.SetValidateCertHook((type, argument, length, chain, flags) =>
            {
                key = handle.VerifyReport.GetSpkiSha256();
                return (int)flags;
            });
        });
        ExpectTrusted(handle =>
        {
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.AddPin("sha256//" + Convert.ToBase64String(key) + ";" + new string('0', 64));
        });
        ExpectTrusted(handle =>
        {
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.AddPin(new byte[32]);
            handle.AddPin((string)null);
        });
        var error = ExpectRefused(SslError.Pin, handle => handle.AddPin(new byte[32]));
        Expect.Contains(Convert.ToBase64String(key), error.Text);
        Expect.Equal("SSL_ERR_PIN", error.CodeName);
        Expect.Equal(SslErrorCategory.Certificate, error.Category);
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            Peers.ExpectCode(SslError.Invalid, () => handle.AddPin("sha256//short"));
            Peers.ExpectCode(SslError.Invalid, () => handle.AddPin(new byte[31]));
            Expect.Throws<ArgumentNullException>(() => handle.AddPin((byte[])null));
        }
    }

    private static void PinsBeforeHooks()
    {
        int calls = 0;
        SslCauses causes = SslCauses.None;
        ExpectRefused(SslError.Pin, handle =>
        {
            handle.AddPin(new byte[32]);
            handle.SetValidateCertHook((type, argument, length, chain, flags) =>
            {
                calls++;
                causes = handle.VerifyReport.Causes;
                return 0;
            });
        });
        Expect.Equal(1, calls, "calls");
        Expect.Equal(SslCauses.Pin, causes);
        // What the library says by itself is the same code.
        using (Socket socket = Peers.AfterStartTls())
        {
            int verdict = 0;
            var helper = new HookedHelper(socket, Peers.Name, it => verdict = it.OwnVerdict);
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            helper.SslSocket.AddPin(new byte[32]);
            Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Equal((int)SslError.Pin, verdict);
        }
    }

    private static SslSocket Settings()
    {
        SslSocket settings = SslSocket.NewSettings();
        settings.AddTrustFile(Peers.Pki("ca.pem"));
        return settings;
    }

    private static byte[] Other()
    {
        return File.ReadAllBytes(Peers.Pki("other.der"));
    }

    private static void RevocationLists()
    {
        byte[][] chain = { Other() };
        using (SslSocket settings = Settings())
        {
            settings.AddCrlFile(Peers.Pki("none.crl"));
            Expect.Equal(SslError.Okay, settings.VerifyChain(chain).Code);
        }
        using (SslSocket settings = Settings())
        {
            settings.AddCrlPem(File.ReadAllBytes(Peers.Pki("other.crl")));
            ChainVerdict verdict = settings.VerifyChain(chain);
            Expect.Equal(SslError.CertRevoked, verdict.Code);
            Expect.Equal(SslCauses.Revoked, verdict.Report.Causes);
        }
        // There is no list of the intermediate's.
        int calls = 0;
        ExpectRefused(SslError.CertUnknown, handle =>
        {
            handle.AddCrlFile(Peers.Pki("none.crl"));
            handle.SetValidateCertHook((type, argument, length, certificates, flags) =>
            {
                calls++;
                Expect.Equal(SslCauses.RevocationUnknown, handle.VerifyReport.Causes);
                return (int)SslError.CertUnknown;
            });
        });
        Expect.Equal(1, calls, "calls");
        using (SslSocket settings = Settings())
        {
            Peers.ExpectCode(SslError.Io, () => settings.AddCrlFile("/nonexistent"));
            Peers.ExpectCode(SslError.BadData, () => settings.AddCrlPem(new byte[3]));
            Expect.Throws<ArgumentNullException>(() => settings.AddCrlPem(null));
            // It is not forgotten.
            Expect.Throws<SslSocketException>(() => settings.VerifyChain(chain));
        }
    }

    private static void ChainAlone()
    {
        byte[][] chain = { Other() };
        using (SslSocket settings = Settings())
        {
            ChainVerdict verdict = settings.VerifyChain(chain, "other.test");
            Expect.True(verdict.IsTrusted, verdict.Text);
            Expect.Equal("", verdict.Text);
            Expect.Equal("Okay", verdict.ToString());
            Expect.Equal(SslVerdict.Trusted, verdict.Report.Verdict);
            Expect.Equal(1, verdict.Report.ChainLength, "chain");
            Expect.True(verdict.Report.NotBefore <= DateTime.UtcNow && DateTime.UtcNow < verdict.Report.NotAfter, "dates");

            verdict = settings.VerifyChain(chain, Peers.Name);
            Expect.Equal(SslError.Name, verdict.Code);
            Expect.Equal(false, verdict.IsTrusted, "trusted");
            Expect.Equal(SslVerdict.NotTrusted, verdict.Report.Verdict);
            Expect.Contains("other.test", verdict.Text);
            Expect.Equal("Name: " + verdict.Text, verdict.ToString());
            // Without a name none is looked at.
            Expect.Equal(SslError.Okay, settings.VerifyChain(chain).Code);

            verdict = settings.VerifyChain(chain, Peers.Name, verdict.Report.NotAfter.AddSeconds(1));
            Expect.Equal(SslError.CertExpired, verdict.Code);
            Expect.Equal(SslCauses.Expired | SslCauses.Name, verdict.Report.Causes);
            // In whatever zone the time is.
            Expect.Equal(
                SslError.Okay, settings.VerifyChain(chain, null, verdict.Report.NotAfter.AddSeconds(-1).ToLocalTime()).Code);
            Expect.Equal(
                SslError.NotYetValid, settings.VerifyChain(chain, null, verdict.Report.NotBefore.AddSeconds(-1)).Code);
        }
        using (SslSocket settings = SslSocket.NewSettings())
        {
            settings.AddTrustFile(Peers.Pki("client.pem"));
            Expect.Equal(SslError.CertUnknown, settings.VerifyChain(chain).Code);
        }
        // With the flag it is a client's.
        using (SslSocket settings = Settings())
        {
            settings.Flags = SslFlags.Server;
            Expect.Equal(SslCauses.Usage, settings.VerifyChain(chain).Report.Causes);
        }
    }

    private static void ChainInHook()
    {
        ExpectTrusted(handle =>
        {
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.SetValidateCertHook((type, argument, length, certificates, flags) =>
            {
                var chain = new List<byte[]> { handle.GetPeerCertificate(0), handle.GetPeerCertificate(1) };
                Expect.Equal(SslError.Okay, handle.VerifyChain(chain, Peers.Name).Code);
                Expect.Equal(SslError.Name, handle.VerifyChain(chain, "else.test").Code);
                chain.RemoveAt(1);
                Expect.Equal(SslError.CertUnknown, handle.VerifyChain(chain, Peers.Name).Code);
                return (int)flags;
            });
        });
    }

    private static void NoChain()
    {
        using (SslSocket settings = Settings())
        {
            Expect.Throws<ArgumentNullException>(() => settings.VerifyChain(null));
            Expect.Throws<ArgumentException>(() => settings.VerifyChain(new byte[1][]));
            Peers.ExpectCode(SslError.Invalid, () => settings.VerifyChain(new byte[0][]));
            Peers.ExpectCode(SslError.Invalid, () => settings.VerifyChain(new[] { Other() }, "a b"));
            ChainVerdict verdict = settings.VerifyChain(new[] { new byte[] { 1, 2, 3 } });
            Expect.Equal(SslError.BadData, verdict.Code);
            Expect.Equal(SslCauses.Malformed, verdict.Report.Causes & SslCauses.Malformed);
            settings.Dispose();
            Expect.Throws<ObjectDisposedException>(() => settings.VerifyChain(new[] { Other() }));
        }
        using (SslSocket settings = SslSocket.NewSettings())
        {
            // It has no connection.
            Expect.Throws<SslSocketException>(() => settings.PerformHandshake(Peers.Name));
        }
    }

    private static void Defaults()
    {
        try
        {
            SslDefaults.AddTrustDirectory(Peers.Pki("roots"));
            SslDefaults.AddPin(new byte[32]);
            SslDefaults.SetProtocols(TlsVersion.Tls12, TlsVersion.Tls12);
            SslDefaults.SetAlpn("ftp");
            using (Socket socket = Peers.AfterStartTls())
            {
                Peers.ExpectCode(SslError.Pin, new SslHelper(socket, Peers.Name, true).DoHandshake);
            }
            SslDefaults.AddPin(Peers.Variable("SSLSOCK_SPKI"));
            using (Socket socket = Peers.Connect("SSLSOCK_RESUMING_TLS12"))
            {
                var helper = new SslHelper(socket, Peers.Name, true);
                helper.DoHandshake();
                Expect.Equal("ftp", helper.SslSocket.SessionInfo.Alpn);
                Expect.Equal(0x0303, helper.SslSocket.SessionInfo.Protocol, "version");
            }
            SslDefaults.SetIdentityFile(Peers.Pki("other.pem"), Peers.Pki("other.key"));
            SslDefaults.AddIdentityPem(File.ReadAllBytes(Peers.Pki("client-chain.pem")), File.ReadAllBytes(Peers.Pki("client.key")));
            SslDefaults.SetAuthRequestHook((socket, issuers) =>
                new ClientCertificate(new[]
                {
                    File.ReadAllBytes(Peers.Pki("client.der")), File.ReadAllBytes(Peers.Pki("intermediate.der"))
                }));
            using (Socket socket = Peers.Connect("SSLSOCK_DEMANDING"))
            {
                new SslHelper(socket, Peers.Name, true).DoHandshake();
                Expect.Equal("CN=user", Peers.ReadLine(socket));
            }
        }
        finally
        {
            SslDefaults.AddPin((string)null);
            SslDefaults.SetProtocols(TlsVersion.Tls12, TlsVersion.Tls13);
            SslDefaults.SetAlpn();
            SslDefaults.SetAuthRequestHook(null);
        }
    }
}
