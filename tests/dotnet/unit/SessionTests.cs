using System;
using System.Net;
using System.Net.Sockets;
using SslSock;

/// <summary>Connections that resume the session of another one, as FTP's data connections do.</summary>
static class SessionTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("session: a second connection has it by its name, TLS 1.3", () => ByName("SSLSOCK_RESUMING", 3));
        tests.Add("session: a second connection has it by its name, TLS 1.2", () => ByName("SSLSOCK_RESUMING_TLS12", 2));
        tests.Add("session: a data helper has name, settings and session, TLS 1.3", () => OfControl("SSLSOCK_RESUMING"));
        tests.Add("session: a data helper has name, settings and session, TLS 1.2", () => OfControl("SSLSOCK_RESUMING_TLS12"));
        tests.Add("session: a data helper that does not defer", DataHelperAtOnce);
        tests.Add("session: a data helper for a socket that is connected later", ConnectedLater);
        tests.Add("session: what is set on the data helper goes before", OwnSettings);
        tests.Add("session: how the control connection was made is its own matter", ControlMadeOtherwise);
        tests.Add("session: the control connection has ended", ControlHasEnded);
        tests.Add("session: a server that does not resume", NotResumed);
        tests.Add("session: no resumption", NoResumption);
        tests.Add("session: the control connection is not under TLS", ControlIsPlain);
        tests.Add("session: hooks of the control connection and of the data connection", Hooks);
        tests.Add("session: settings that differ", Differ);
        tests.Add("session: misuse", Misuse);
    }

    private static SslHelper Control(string variable, out Socket socket)
    {
        socket = Peers.Connect(variable);
        SslHelper helper = Peers.Helper(socket);
        helper.SslSocket.Flags = SslFlags.NoPostQuantum;
        helper.SslSocket.SetAlpn("ftp");
        helper.DoHandshake();
        // New sessions come with what is read.
        Peers.ReadLine(socket);
        return helper;
    }

    private static void ExpectSession(SslHelper helper, Socket socket, bool isResumed)
    {
        Expect.Equal(isResumed, helper.SslSocket.SessionInfo.IsResumed, "resumed");
        Expect.Equal("reused " + isResumed, Peers.ReadLine(socket));
        Peers.Exchange(socket, "it works");
    }

    private static void ByName(string variable, byte different)
    {
        // Other settings than those of any other test: so there are no sessions yet.
        var pin = new byte[32];
        pin[0] = different;
        for (int i = 0; i < 2; i++)
        {
            using (Socket socket = Peers.Connect(variable))
            {
                SslHelper helper = Peers.Helper(socket, "localhost");
                helper.SslSocket.AddPin(pin);
                helper.SslSocket.AddPin(Peers.Variable("SSLSOCK_SPKI"));
                helper.DoHandshake();
                ExpectSession(helper, socket, i > 0);
            }
        }
    }

    private static void OfControl(string variable)
    {
        Socket control;
        SslHelper helper = Control(variable, out control);
        using (control)
        {
            for (int i = 0; i < 3; i++)
            {
                using (Socket data = Peers.Connect(variable))
                {
                    var dataHelper = new SslHelper(helper, data, true);
                    Expect.Equal(Peers.Name, dataHelper.SslSocket.PeerName);
                    Expect.Equal(SslFlags.NoPostQuantum, dataHelper.SslSocket.Flags);
                    dataHelper.SslSocket.Flags |= SslFlags.RequireResumption;
                    dataHelper.DoHandshake();
                    Expect.Equal("ftp", dataHelper.SslSocket.SessionInfo.Alpn);
                    ExpectSession(dataHelper, data, true);
                }
            }
            Peers.Exchange(control, "still there");
        }
    }

    private static void DataHelperAtOnce()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_RESUMING", out control);
        using (control)
        using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
        {
            ExpectSession(new SslHelper(helper, data), data, true);
        }
    }

    private static void ConnectedLater()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_RESUMING", out control);
        using (control)
        {
            EndPoint endPoint = Peers.Address("SSLSOCK_RESUMING");
            using (Socket data = Peers.NewSocket(endPoint))
            {
                var dataHelper = new SslHelper(helper, data, true);
                dataHelper.Connect(endPoint);
                ExpectSession(dataHelper, data, true);
            }
        }
    }

    private static void OwnSettings()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_RESUMING", out control);
        using (control)
        {
            EndPoint endPoint = Peers.Address("SSLSOCK_RESUMING");
            using (Socket data = Peers.NewSocket(endPoint))
            {
                var dataHelper = new SslHelper(helper, data, true);
                // Before there is a connection, and a handle.
                dataHelper.SslSocket.SetAlpn("http/1.1");
                dataHelper.SslSocket.Flags = SslFlags.UnixPair;
                dataHelper.Connect(endPoint);
                Expect.Equal("http/1.1", dataHelper.SslSocket.SessionInfo.Alpn);
                Expect.Equal(SslDataPath.TransparentUnix, dataHelper.SslSocket.SessionInfo.DataPath);
                ExpectSession(dataHelper, data, true);
            }
        }
    }

    private static void ControlMadeOtherwise()
    {
        using (Socket control = Peers.Connect("SSLSOCK_RESUMING"))
        {
            SslHelper helper = Peers.Helper(control);
            helper.SslSocket.Flags = SslFlags.DeferHandshake | SslFlags.AllowTruncation;
            helper.DoHandshakeAsync(System.Threading.CancellationToken.None).Wait();
            Peers.ReadLine(control);
            using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
            {
                var dataHelper = new SslHelper(helper, data, true);
                Expect.Equal(SslFlags.AllowTruncation, dataHelper.SslSocket.Flags);
                // It does not say that it would block.
                dataHelper.DoHandshake();
                ExpectSession(dataHelper, data, true);
            }
        }
    }

    private static void ControlHasEnded()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_RESUMING", out control);
        control.Close();
        using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
        {
            ExpectSession(new SslHelper(helper, data), data, true);
        }
        using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
        {
            helper.SslSocket.Dispose();
            Expect.Throws<ObjectDisposedException>(() => new SslHelper(helper, data));
            Peers.ExpectDead(data);
        }
    }

    private static void NotResumed()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_NOT_RESUMING", out control);
        using (control)
        {
            using (Socket data = Peers.Connect("SSLSOCK_NOT_RESUMING"))
            {
                ExpectSession(new SslHelper(helper, data), data, false);
            }
            using (Socket data = Peers.Connect("SSLSOCK_NOT_RESUMING"))
            {
                var dataHelper = new SslHelper(helper, data, true);
                dataHelper.SslSocket.Flags |= SslFlags.RequireResumption;
                SslSocketException error = Peers.ExpectCode(SslError.NotResumed, dataHelper.DoHandshake);
                Expect.Equal(SslErrorCategory.Protocol, error.Category);
                Expect.Equal("SSL_ERR_NOT_RESUMED", error.CodeName);
                Peers.ExpectDead(data);
            }
        }
    }

    private static void NoResumption()
    {
        for (int i = 0; i < 2; i++)
        {
            using (Socket socket = Peers.Connect("SSLSOCK_RESUMING"))
            {
                SslHelper helper = Peers.Helper(socket);
                helper.SslSocket.Flags = SslFlags.NoResumption;
                helper.DoHandshake();
                ExpectSession(helper, socket, false);
            }
        }
        using (Socket socket = Peers.Connect("SSLSOCK_RESUMING"))
        {
            SslSocket handle = SslSocket.For(socket);
            Peers.ExpectCode(
                SslError.Invalid, () => handle.Flags = SslFlags.NoResumption | SslFlags.RequireResumption);
            Expect.Equal(SslFlags.None, handle.Flags);
        }
    }

    private static void ControlIsPlain()
    {
        using (Socket control = Peers.Connect("SSLSOCK_PEER"))
        {
            SslHelper helper = Peers.Helper(control);
            using (Socket data = Peers.Connect("SSLSOCK_PEER"))
            {
                Expect.Contains(
                    "DoHandshake() comes before", Expect.Throws<InvalidOperationException>(
                        () => new SslHelper(helper, data, true)).Message);
                // Deferred: nobody has asked for TLS yet.
                Peers.Send(data, "STARTTLS " + Peers.NewTicket() + "\n");
                Expect.Equal("220 go ahead", Peers.ReadLine(data));
            }
            using (Socket data = Peers.Connect("SSLSOCK_PEER"))
            {
                Expect.Throws<InvalidOperationException>(() => new SslHelper(helper, data));
                Peers.ExpectDead(data);
            }
            using (Socket data = Peers.Connect("SSLSOCK_PEER"))
            {
                Expect.Throws<ArgumentNullException>(() => new SslHelper((SslHelper)null, data));
                Peers.ExpectDead(data);
            }
        }
    }

    private static void Hooks()
    {
        using (Socket control = Peers.Connect("SSLSOCK_RESUMING"))
        {
            var helper = new HookedData(control, Peers.Name);
            helper.DoHandshake();
            Peers.ReadLine(control);
            using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
            {
                // The control connection's hook would look at the control connection's certificate.
                var error = Expect.Throws<InvalidOperationException>(() => new SslHelper(helper, data, true));
                Expect.Contains("overrides ValidateCert", error.Message);
            }
            using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
            {
                var dataHelper = new HookedData(data, helper);
                dataHelper.DoHandshake();
                ExpectSession(dataHelper, data, true);
                Expect.Equal(1, helper.Calls, "calls for the control connection");
                Expect.Equal(1, dataHelper.Calls, "calls for the data connection");
            }
            using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
            {
                var dataHelper = new HookedData(data, helper) { Answer = (int)SslError.Failed };
                Peers.ExpectCode(SslError.Failed, dataHelper.DoHandshake);
                Peers.ExpectDead(data);
            }
        }
    }

    private static void Differ()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_RESUMING", out control);
        using (control)
        using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
        {
            SslSocket native = SslSocket.For(data);
            native.AddTrustFile(Peers.Pki("ca.pem"));
            native.AddPin(Peers.Variable("SSLSOCK_SPKI"));
            native.SetSessionFrom(helper.SslSocket);
            var error = Peers.ExpectCode(SslError.Invalid, () => native.PerformHandshake());
            Expect.Contains("pin", error.Text);
            Peers.ExpectDead(data);
        }
    }

    private static void Misuse()
    {
        Socket control;
        SslHelper helper = Control("SSLSOCK_RESUMING", out control);
        using (control)
        using (Socket data = Peers.Connect("SSLSOCK_RESUMING"))
        using (Socket plain = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket native = SslSocket.For(data);
            Peers.ExpectCode(SslError.State, () => native.SetSessionFrom(SslSocket.For(plain)));
            Peers.ExpectCode(SslError.State, () => helper.SslSocket.SetSessionFrom(native));
            native.SetSessionFrom(helper.SslSocket);
            native.SetSessionFrom(null);
            native.AddTrustFile(Peers.Pki("ca.pem"));
            native.Flags = SslFlags.NoPostQuantum;
            native.PerformHandshake(Peers.Name);
            helper.SslSocket.Dispose();
            using (Socket other = Peers.Connect("SSLSOCK_PEER"))
            {
                Expect.Throws<ObjectDisposedException>(() => SslSocket.For(other).SetSessionFrom(helper.SslSocket));
            }
        }
    }

    /// <summary>A hook with what it is asked about, as a program writes it for both connections.</summary>
    private sealed class HookedData : SslHelper
    {
        internal HookedData(Socket socket, string host) : base(socket, host, true)
        {
        }

        internal HookedData(Socket socket, SslHelper control) : base(control, socket, true)
        {
        }

        internal int Calls { get; private set; }
        internal int Answer { private get; set; }

        protected override int ValidateCert(uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
        {
            Calls++;
            Expect.Bytes(SslSocket.GetPeerCertificate(), CopyCertificate(pCertChain), "its own certificate");
            return Answer;
        }
    }
}
