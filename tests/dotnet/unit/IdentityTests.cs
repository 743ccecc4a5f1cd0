using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using SslSock;

/// <summary>By what this side proves who it is.</summary>
static class IdentityTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("identity: in DER", InDer);
        tests.Add("identity: a key with a password is refused", LockedKey);
        tests.Add("identity: several, and none that fits", Several);
        tests.Add("identity: a key elsewhere signs", Signer);
        tests.Add("identity: a signer that fails", SignerFails);
        tests.Add("identity: a hook chooses", HookChooses);
        tests.Add("identity: a hook is told whom the server believes", HookIsToldIssuers);
        tests.Add("identity: a hook declines", HookDeclines);
        tests.Add("identity: a hook leaves it to the library", HookLeaves);
        tests.Add("identity: a hook that fails", HookFails);
        tests.Add("identity: equal delegates share sessions", EqualDelegates);
        tests.Add("identity: arguments", Arguments);
    }

    private static byte[] File(string name)
    {
        return System.IO.File.ReadAllBytes(Peers.Pki(name));
    }

    /// <summary>A handle for a connection to a server that demands a certificate.</summary>
    private static SslSocket Demanded(out Socket socket)
    {
        socket = Peers.Connect("SSLSOCK_DEMANDING");
        SslSocket handle = SslSocket.For(socket);
        handle.AddTrustFile(Peers.Pki("ca.pem"));
        return handle;
    }

    private static void ExpectUser(Action<SslSocket> prepare)
    {
        Socket socket;
        SslSocket handle = Demanded(out socket);
        using (socket)
        {
            prepare(handle);
            handle.PerformHandshake(Peers.Name);
            Expect.Equal("CN=user", Peers.ReadLine(socket));
        }
    }

    private static SslSocketException ExpectFailure(SslError code, Action<SslSocket> prepare)
    {
        Socket socket;
        SslSocket handle = Demanded(out socket);
        using (socket)
        {
            prepare(handle);
            SslSocketException error = Peers.ExpectCode(code, () => handle.PerformHandshake(Peers.Name));
            Peers.ExpectDead(socket);
            return error;
        }
    }

    private static void InDer()
    {
        // The root does not know the intermediate: so the server has to be shown it.
        ExpectUser(handle => handle.SetIdentityPem(File("client-chain.pem"), File("client.key.der")));
        using (Socket socket = Peers.Connect("SSLSOCK_DEMANDING"))
        {
            SslSocket handle = SslSocket.For(socket);
            handle.SetIdentityPem(File("client.der"), File("client.key.der"));
            handle.SetIdentityFile(Peers.Pki("client.der"), Peers.Pki("client.key.der"));
            Peers.ExpectCode(SslError.BadData, () => handle.SetIdentityPem(File("ca.der"), File("client.key.der")));
        }
    }

    private static void LockedKey()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_DEMANDING"))
        {
            SslSocket handle = SslSocket.For(socket);
            var error = Peers.ExpectCode(
                SslError.BadData, () => handle.SetIdentityPem(File("client-chain.pem"), File("client.key.locked")));
            Expect.Contains("openssl", error.Text);
        }
    }

    private static void Several()
    {
        // The server takes no server's certificate, but names the issuer of both.
        ExpectFailure(SslError.Alert, handle => handle.SetIdentityFile(Peers.Pki("other.pem"), Peers.Pki("other.key")));
        ExpectUser(handle =>
        {
            handle.SetIdentityFile(Peers.Pki("client-chain.pem"), Peers.Pki("client.key"));
            handle.AddIdentityFile(Peers.Pki("other.pem"), Peers.Pki("other.key"));
        });
        // A later one replaces them all.
        ExpectUser(handle =>
        {
            handle.AddIdentityPem(File("other.pem"), File("other.key"));
            handle.SetIdentityPem(File("client-chain.pem"), File("client.key"));
        });
    }

    /// <summary>The key is in another process.</summary>
    private static byte[] SignElsewhere(SslSignatureScheme scheme, byte[] message)
    {
        GC.Collect();
        using (Socket service = Peers.Connect("SSLSOCK_SIGNER"))
        {
            Peers.Send(service, (int)scheme + " " + BitConverter.ToString(message).Replace("-", "") + "\n");
            string answer = Peers.ReadLine(service);
            return Enumerable.Range(0, answer.Length / 2).Select(i => Convert.ToByte(answer.Substring(2 * i, 2), 16)).ToArray();
        }
    }

    private static void Signer()
    {
        int thread = 0;
        SslSignatureScheme asked = 0;
        ExpectUser(handle =>
        {
            handle.SetIdentitySigner(File("client-chain.pem"), (scheme, message) =>
            {
                thread = Thread.CurrentThread.ManagedThreadId;
                asked = scheme;
                return SignElsewhere(scheme, message);
            });
            GC.Collect();
        });
        Expect.Equal(SslSignatureScheme.EcdsaSecp256r1Sha256, asked);
        Expect.Equal(Thread.CurrentThread.ManagedThreadId, thread, "thread");
        Peers.ExpectCode(SslError.BadData, () =>
        {
            using (Socket socket = Peers.Connect("SSLSOCK_DEMANDING"))
            {
                SslSocket.For(socket).SetIdentitySigner(File("client.key"), SignElsewhere);
            }
        });
    }

    private static void SignerFails()
    {
        var thrown = new FormatException("no card");
        var error = ExpectFailure(
            SslError.Signature, handle => handle.SetIdentitySigner(File("client-chain.pem"), (scheme, message) => { throw thrown; }));
        Expect.True(ReferenceEquals(thrown, error.InnerException), "it is the InnerException");
        Expect.True(ReferenceEquals(thrown, error.HookException), "it is the HookException");
        Expect.Contains("no card", error.Message);
        foreach (byte[] signature in new[] { null, new byte[1 << 20] })
        {
            error = ExpectFailure(
                SslError.Signature, handle => handle.SetIdentitySigner(File("client-chain.pem"), (scheme, message) => signature));
            Expect.True(error.InnerException is InvalidOperationException, "it is the InnerException");
        }
        // So is one that is none of that key's.
        ExpectFailure(
            SslError.Signature, handle => handle.SetIdentitySigner(File("client-chain.pem"), (scheme, message) => new byte[70]));
    }

    private static IList<byte[]> Chain(params string[] names)
    {
        return names.Select(name => File(name + ".der")).ToArray();
    }

    private static void Both(SslSocket handle)
    {
        handle.SetIdentityFile(Peers.Pki("other.pem"), Peers.Pki("other.key"));
        handle.AddIdentityFile(Peers.Pki("client-chain.pem"), Peers.Pki("client.key"));
    }

    private static void HookChooses()
    {
        int calls = 0;
        SslSocket asked = null, own = null;
        ExpectUser(handle =>
        {
            own = handle;
            Both(handle);
            handle.SetAuthRequestHook((socket, names) =>
            {
                calls++;
                asked = socket;
                Peers.ExpectCode(SslError.Reentrant, () => socket.SetTimeout(SslTimeout.Close, 1));
                GC.Collect();
                return new ClientCertificate(Chain("client", "intermediate"));
            });
        });
        Expect.Equal(1, calls, "calls");
        Expect.True(ReferenceEquals(own, asked), "it is told whose handshake it is");
        // Against the library's own choice.
        ExpectFailure(SslError.Alert, handle =>
        {
            handle.SetIdentityFile(Peers.Pki("client-chain.pem"), Peers.Pki("client.key"));
            handle.AddIdentityFile(Peers.Pki("other.pem"), Peers.Pki("other.key"));
            handle.SetAuthRequestHook((socket, names) => new ClientCertificate(Chain("other")));
        });
        // Nobody asks.
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper helper = Peers.Helper(socket);
            helper.SslSocket.SetAuthRequestHook((_, names) => { throw new FormatException("nobody asks"); });
            helper.DoHandshake();
        }
    }

    private static void HookIsToldIssuers()
    {
        Socket near, far;
        Peers.Pair(out near, out far);
        using (near)
        using (far)
        {
            SslSocket server = SslSocket.For(far);
            server.Flags = SslFlags.Server | SslFlags.AuthClient;
            server.AddTrustFile(Peers.Pki("ca.pem"));
            server.AddTrustFile(Peers.Pki("other.pem"));
            server.SetIdentityFile(Peers.Pki("server-chain.pem"), Peers.Pki("server.key"));
            Task<SslError> served = server.PerformHandshakeAsync();
            string[] issuers = null;
            SslSocket client = SslSocket.For(near);
            client.AddTrustFile(Peers.Pki("ca.pem"));
            Both(client);
            client.SetAuthRequestHook((socket, names) =>
            {
                issuers = names.Select(Encoding.ASCII.GetString).ToArray();
                return new ClientCertificate(Chain("client", "intermediate"));
            });
            client.PerformHandshake(Peers.Name);
            served.Wait();
            Expect.Equal("CN=user", server.GetVerifyText(SslVerifyText.Subject));
            Expect.Equal(2, issuers.Length, "issuers");
            Expect.True(issuers.Any(name => name.Contains("sslsock test root")), "the root is among them");
            Expect.True(issuers.Any(name => name.Contains("other.test")), "the other one too");
        }
    }

    private static void HookDeclines()
    {
        ExpectFailure(SslError.Alert, handle =>
        {
            handle.SetIdentityFile(Peers.Pki("client-chain.pem"), Peers.Pki("client.key"));
            handle.SetAuthRequestHook((socket, names) => ClientCertificate.None);
        });
        // Taken back again.
        ExpectUser(handle =>
        {
            handle.SetIdentityFile(Peers.Pki("client-chain.pem"), Peers.Pki("client.key"));
            handle.SetAuthRequestHook((socket, names) => ClientCertificate.None);
            handle.SetAuthRequestHook(null);
        });
    }

    private static void HookLeaves()
    {
        int calls = 0;
        ExpectUser(handle =>
        {
            handle.SetIdentityFile(Peers.Pki("client-chain.pem"), Peers.Pki("client.key"));
            handle.SetAuthRequestHook((socket, names) =>
            {
                calls++;
                return ClientCertificate.OfLibrary;
            });
        });
        Expect.Equal(1, calls, "calls");
    }

    private static void HookFails()
    {
        var thrown = new FormatException("no user");
        foreach (SslAuthRequest hook in new SslAuthRequest[]
        {
            (socket, names) => { throw thrown; },
            (socket, names) => null
        })
        {
            Socket socket;
            SslSocket handle = Demanded(out socket);
            using (socket)
            {
                Both(handle);
                handle.SetAuthRequestHook(hook);
                var error = Expect.Throws<SslSocketException>(() => handle.PerformHandshake(Peers.Name));
                Expect.Equal(-1, error.Code, "code");
                Expect.True(
                    ReferenceEquals(thrown, error.InnerException) || error.InnerException is InvalidOperationException,
                    "it is the InnerException");
                Peers.ExpectDead(socket);
            }
        }
        // A certificate whose key nobody has.
        Socket without;
        SslSocket other = Demanded(out without);
        using (without)
        {
            other.SetAuthRequestHook((socket, names) => new ClientCertificate(Chain("client")));
            Expect.Throws<SslSocketException>(() => other.PerformHandshake(Peers.Name));
            Peers.ExpectDead(without);
        }
    }

    private static void EqualDelegates()
    {
        SslSocket first = null;
        for (int i = 0; i < 2; i++)
        {
            using (Socket socket = Peers.Connect("SSLSOCK_RESUMING"))
            {
                SslSocket handle = SslSocket.For(socket);
                handle.AddTrustFile(Peers.Pki("ca.pem"));
                // Each is a new object.
                handle.SetIdentitySigner(File("client-chain.pem"), SignElsewhere);
                handle.SetAuthRequestHook(Leave);
                if (first != null)
                {
                    handle.SetSessionFrom(first);
                }
                handle.PerformHandshake(Peers.Name);
                Expect.Equal("reused " + (i > 0), Peers.ReadLine(socket));
                first = handle;
            }
        }
    }

    private static ClientCertificate Leave(SslSocket socket, IList<byte[]> issuers)
    {
        return ClientCertificate.OfLibrary;
    }

    private static void Arguments()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            Expect.Throws<ArgumentNullException>(() => handle.SetIdentityPem(new byte[1], null));
            Expect.Throws<ArgumentNullException>(() => handle.AddIdentityPem(null, new byte[1]));
            Expect.Throws<ArgumentNullException>(() => handle.AddIdentityFile(null, "key"));
            Expect.Throws<ArgumentNullException>(() => handle.SetIdentitySigner(null, SignElsewhere));
            Expect.Throws<ArgumentNullException>(() => handle.SetIdentitySigner(new byte[1], null));
            Peers.ExpectCode(SslError.BadData, () => handle.AddIdentityPem(new byte[1], new byte[1]));
            Peers.ExpectCode(SslError.Io, () => handle.AddIdentityFile("/nonexistent", "/nonexistent"));
        }
        Expect.Throws<ArgumentNullException>(() => new ClientCertificate(null));
        Expect.Throws<ArgumentException>(() => new ClientCertificate(new byte[0][]));
    }
}
