using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using SslSock;

/// <summary>What goes wrong, as the program sees it.</summary>
static class ErrorTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("wrong name", () => Refused("serve known", "other.test", SslError.Name, 10, "not for \"other.test\""));
        tests.Add("untrusted issuer", () => Refused("serve unknown", Peers.Name, SslError.CertUnknown, 10, "issuer"));
        tests.Add("expired certificate", ExpiredCertificate);
        tests.Add("peer that speaks plaintext", () =>
            Broken("plaintext", SslError.NotTls, SslErrorCategory.Peer, SocketError.ConnectionAborted, "500 what?"));
        tests.Add("plaintext after the answer to STARTTLS", () =>
            Broken("inject", SslError.EarlyData, SslErrorCategory.Peer, SocketError.ConnectionAborted, "250 injected"));
        tests.Add("peer that resets", () =>
            Broken("reset", SslError.Reset, SslErrorCategory.Io, SocketError.ConnectionReset, "reset"));
        tests.Add("peer that closes", () =>
            Broken("close", SslError.Truncated, SslErrorCategory.Io, SocketError.ConnectionReset, "closed"));
        tests.Add("silent peer", () =>
            Broken("silent", SslError.Timeout, SslErrorCategory.Io, SocketError.TimedOut, "300 ms", 300));
        tests.Add("alert of the peer", AlertOfThePeer);
        tests.Add("nothing leaves in clear after a failure", NothingInClear);
        tests.Add("failure of an asynchronous handshake", FailureOfAnAsynchronousHandshake);
        tests.Add("failure at once", FailureAtOnce);
        tests.Add("failure in Connect", FailureInConnect);
        tests.Add("no connection", NoConnection);
        tests.Add("a handshake that cannot be begun ends the connection", CannotBegin);
        tests.Add("a helper that comes before Connect holds the socket", HeldBeforeConnect);
        tests.Add("a handshake before Connect holds the socket", HandshakeBeforeConnect);
        tests.Add("a closed socket's number is another's", ClosedSocketsNumber);
        tests.Add("second handshake leaves the connection alone", SecondHandshake);
        tests.Add("sticky error of the handle", StickyError);
        tests.Add("arguments", Arguments);
        tests.Add("names outside ASCII", NamesOutsideAscii);
        tests.Add("settings that cannot be used", SettingsThatCannotBeUsed);
        tests.Add("Winsock numbers are those of docs/errors.md", WinsockNumbers);
    }

    private static SslSocketException ExpectError(
        Action action, SslError code, SslErrorCategory category, int number, string text)
    {
        var error = Expect.Throws<SslSocketException>(action);
        Expect.Equal((int)code, error.Code, "code of " + error);
        Expect.Equal(category, error.Category, "category");
        Expect.Equal(number, error.ErrorCode, "ErrorCode");
        Expect.Equal((SocketError)number, error.SocketErrorCode, "SocketErrorCode");
        Expect.Contains(text, error.Text);
        Expect.Equal(error.Text, error.Message);
        Expect.Equal(false, error.FromHook, "from the hook");
        Expect.Equal(null, error.InnerException, "InnerException");
        return error;
    }

    private static void Refused(string order, string host, SslError code, int number, string text)
    {
        using (Socket socket = Peers.Recorded(order))
        {
            SslHelper helper = Peers.Helper(socket, host);
            var error = ExpectError(helper.DoHandshake, code, SslErrorCategory.Certificate, number, text);
            Expect.Equal(-1, error.TlsAlert, "alert");
            Expect.Equal(SslVerdict.NotTrusted, helper.SslSocket.VerifyReport.Verdict);
            Peers.ExpectDead(socket);
        }
    }

    private static void ExpiredCertificate()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_EXPIRED"))
        {
            SslHelper helper = Peers.Helper(socket, Peers.Name);
            ExpectError(helper.DoHandshake, SslError.CertExpired, SslErrorCategory.Certificate, 8, "2020-02-01");
            Expect.Equal(SslCauses.Expired, helper.SslSocket.VerifyReport.Causes);
            Expect.Equal(
                new DateTime(2020, 2, 1, 0, 0, 0, DateTimeKind.Utc), helper.SslSocket.VerifyReport.NotAfter, "end");
            Peers.ExpectDead(socket);
        }
    }

    private static void Broken(
        string order, SslError code, SslErrorCategory category, SocketError number, string text, int limit = 30000)
    {
        using (Socket socket = Peers.Recorded(order))
        {
            SslHelper helper = Peers.Helper(socket, Peers.Name);
            helper.SslSocket.SetTimeout(SslTimeout.Handshake, limit);
            ExpectError(helper.DoHandshake, code, category, (int)number, text);
            Peers.ExpectDead(socket);
        }
    }

    private static void AlertOfThePeer()
    {
        const int HandshakeFailure = 40;
        using (Socket socket = Peers.Connect("SSLSOCK_DEMANDING"))
        {
            var error = ExpectError(
                Peers.Helper(socket, Peers.Name).DoHandshake, SslError.Alert, SslErrorCategory.Protocol,
                (int)SocketError.ConnectionAborted, "handshake_failure");
            Expect.Equal(HandshakeFailure, error.TlsAlert, "alert");
            Peers.ExpectDead(socket);
        }
    }

    private static void NothingInClear()
    {
        string ticket = Peers.NewTicket();
        using (Socket socket = Peers.AfterStartTls(ticket, "SSLSOCK_UNTRUSTED"))
        {
            Expect.Throws<SslSocketException>(Peers.Helper(socket, Peers.Name).DoHandshake);
            Peers.ExpectDead(socket);
        }
        using (Socket control = Peers.Connect("SSLSOCK_UNTRUSTED_RESULTS"))
        {
            Peers.Send(control, ticket + "\n");
            Expect.Contains("nothing but TLS", Peers.ReadLine(control));
        }
    }

    private static void FailureOfAnAsynchronousHandshake()
    {
        using (Socket socket = Peers.Recorded("serve unknown"))
        {
            var task = Peers.Helper(socket, Peers.Name).DoHandshakeAsync();
            var error = Expect.Throws<AggregateException>(task.Wait);
            Expect.Equal((int)SslError.CertUnknown, ((SslSocketException)error.InnerException).Code, "code");
            Peers.ExpectDead(socket);
        }
    }

    private static void FailureAtOnce()
    {
        using (Socket socket = Peers.Recorded("serve unknown"))
        {
            var error = Expect.Throws<SslSocketException>(() => new SslHelper(socket, Peers.Name));
            Expect.Equal((int)SslError.CertUnknown, error.Code, "code");
            Peers.ExpectDead(socket);
        }
        using (Socket socket = Peers.Recorded("serve known"))
        {
            // A name that is none is found before the handshake, and kills all the same.
            var error = Expect.Throws<SslSocketException>(() => new SslHelper(socket, "not a name"));
            Expect.Equal((int)SslError.Invalid, error.Code, "code");
            Peers.ExpectDead(socket);
        }
    }

    private static void FailureInConnect()
    {
        EndPoint endPoint = Peers.Address("SSLSOCK_PEER");
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            var error = Expect.Throws<SslSocketException>(() => SslHelper.Connect(socket, endPoint, "other.test"));
            Expect.Equal(SslErrorCategory.Certificate, error.Category);
            Peers.ExpectDead(socket);
        }
    }

    private static void NoConnection()
    {
        EndPoint nobody = Peers.Nobody();
        using (Socket socket = Peers.NewSocket(nobody))
        {
            var error = Expect.Throws<SslSocketException>(() =>
            {
                SslSocket handle = SslSocket.For(socket);
                handle.PeerName = Peers.Name;
                handle.Connect(nobody);
            });
            Expect.Equal((int)SslError.Io, error.Code, "code");
            Expect.Equal(111, error.SystemError, "errno");
            Expect.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        }
        using (Socket socket = Peers.NewSocket(nobody))
        {
            var error = Expect.Throws<SocketException>(() => SslHelper.Connect(socket, nobody, Peers.Name));
            Expect.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        }
        using (Socket socket = Peers.NewSocket(nobody))
        {
            var error = Expect.Throws<InvalidOperationException>(() => new SslHelper(socket, Peers.Name));
            Expect.Contains("DoHandshake()", error.Message);
            Expect.Contains("SslHelper.Connect(", error.Message);
            Expect.Contains("using Socket = SslSock.Compat.Socket;", error.Message);
        }
        using (Socket socket = Peers.NewSocket(nobody))
        {
            var helper = new SslHelper(socket, Peers.Name, true);
            Peers.ExpectCode(SslError.State, helper.DoHandshake);
        }
    }

    private static void CannotBegin()
    {
        DeadAfter<ArgumentNullException>(socket => new SslHelper(socket, null));
        DeadAfter<ArgumentException>(socket => new SslHelper(socket, "mail\0.test"));
        DeadAfter<InvalidOperationException>(SslHelper.DoHandshake);
        DeadAfter<InvalidOperationException>(SslSock.StaticHelper.SslHelper.DoHandshake);
        DeadAfter<ArgumentNullException>(socket => SslSock.StaticHelper.SslHelper.SetSslSocket(socket, null, false));
    }

    private static void DeadAfter<T>(Action<Socket> upgrade) where T : Exception
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            Expect.Throws<T>(() => upgrade(socket));
            Peers.ExpectDead(socket);
        }
    }

    private static void HeldBeforeConnect()
    {
        EndPoint endPoint = Peers.Address("SSLSOCK_PEER");
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            Expect.Throws<InvalidOperationException>(() => new SslHelper(socket, Peers.Name));
            Expect.Throws<SocketException>(() => socket.Connect(endPoint));
            Peers.ExpectDead(socket);
        }
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            Expect.Throws<InvalidOperationException>(() => new SslHelper(socket, Peers.Name));
            // What the exception says to do.
            SslHelper helper = Peers.Helper(socket);
            socket.Connect(endPoint);
            Peers.Send(socket, "STARTTLS " + Peers.NewTicket() + "\n");
            Expect.Equal("220 go ahead", Peers.ReadLine(socket));
            helper.DoHandshake();
            Peers.Send(socket, "echo\n");
            Peers.Exchange(socket, "let go");
        }
    }

    private static void HandshakeBeforeConnect()
    {
        EndPoint endPoint = Peers.Address("SSLSOCK_PEER");
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            var helper = new SslHelper(socket, Peers.Name, true);
            Expect.Contains("not connected", Peers.ExpectCode(SslError.State, helper.DoHandshake).Text);
            Expect.Throws<SocketException>(() => socket.Connect(endPoint));
            Peers.ExpectDead(socket);
            Expect.Contains("failed", Peers.ExpectCode(SslError.State, helper.DoHandshake).Text);
            Expect.Contains(
                "a new connection", Peers.ExpectCode(SslError.State, () => new SslHelper(socket, Peers.Name, true)).Text);
        }
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            var helper = new SslHelper(socket, "not a name", true);
            Peers.ExpectCode(SslError.Invalid, helper.DoHandshake);
            ExpectNeverConnected(socket, endPoint);
        }
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            Expect.Throws<ArgumentNullException>(() => new SslHelper(socket, null));
            ExpectNeverConnected(socket, endPoint);
        }
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            Expect.Throws<InvalidOperationException>(() => SslHelper.DoHandshake(socket));
            ExpectNeverConnected(socket, endPoint);
        }
    }

    /// <summary>However often it is tried, also after a connection that could not be made.</summary>
    private static void ExpectNeverConnected(Socket socket, EndPoint endPoint)
    {
        foreach (EndPoint target in new[] { Peers.Nobody(), endPoint, Peers.Nobody(), endPoint })
        {
            try
            {
                socket.Connect(target);
            }
            catch (SocketException)
            {
                continue;
            }
            catch (PlatformNotSupportedException)
            {
                // The runtime does not try again.
                continue;
            }
            throw new Exception("connected to " + target);
        }
        Peers.ExpectDead(socket);
    }

    private static void ClosedSocketsNumber()
    {
        EndPoint endPoint = Peers.Address("SSLSOCK_PEER");
        Socket closed = Peers.NewSocket(endPoint);
        var helper = new SslHelper(closed, Peers.Name, true);
        closed.Close();
        using (Socket other = Peers.Connect("SSLSOCK_PEER"))
        {
            Expect.Equal(closed.Handle, other.Handle, "the number");
            Expect.Throws<ObjectDisposedException>(helper.DoHandshake);
            Expect.Throws<ObjectDisposedException>(() => SslHelper.DoHandshake(closed));
            Expect.Throws<ObjectDisposedException>(() => new SslHelper(closed, Peers.Name));
            Expect.Throws<ObjectDisposedException>(() => new SslHelper(closed, Peers.Name, true));
            Expect.Throws<ObjectDisposedException>(() => SslSocket.For(closed));
            Expect.Throws<ObjectDisposedException>(() => SslSocket.Nested(closed));
            Peers.Send(other, "STARTTLS " + Peers.NewTicket() + "\n");
            Expect.Equal("220 go ahead", Peers.ReadLine(other));
        }
    }

    private static void SecondHandshake()
    {
        SslHelper helper;
        using (Socket socket = Peers.Echo(out helper))
        {
            Peers.ExpectCode(SslError.State, helper.DoHandshake);
            Expect.Throws<SslSocketException>(() => SslHelper.DoHandshake(socket));
            Peers.Exchange(socket, "still there");
            helper.SslSocket.Dispose();
            Expect.Throws<ObjectDisposedException>(helper.DoHandshake);
            Peers.Exchange(socket, "still there");
        }
    }

    private static void StickyError()
    {
        SslHelper helper;
        using (Socket socket = Peers.Echo(out helper))
        {
            Expect.Equal(null, helper.SslSocket.Error, "error of a good handle");
        }
        using (Socket socket = Peers.Recorded("serve unknown"))
        {
            helper = Peers.Helper(socket, Peers.Name);
            Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Throws<SslSocketException>(() => GC.KeepAlive(helper.SslSocket.SessionInfo));
            Expect.Equal((int)SslError.CertUnknown, helper.SslSocket.Error.Code, "code");
            Expect.Equal("SSL_ERR_CERT_UNKNOWN", helper.SslSocket.Error.CodeName);
        }
    }

    private static void Arguments()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            Expect.Throws<ArgumentNullException>(() => new SslHelper(null, Peers.Name));
            Expect.Throws<ArgumentNullException>(() => new SslHelper(socket, null, true));
            Expect.Throws<ArgumentException>(() => new SslHelper(socket, "mail\0.test", true));
            Expect.Throws<ArgumentNullException>(() => SslHelper.DoHandshake((Socket)null));
            Expect.Throws<ArgumentNullException>(() => SslSocket.For(null));
            Peers.ExpectCode(SslError.NoName, () => new SslHelper(socket, "", true));
            Peers.ExpectCode(SslError.Invalid, () => new SslHelper(socket, "a b", true));
        }
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            // There is a handle, but nobody has said whose certificate is expected.
            Expect.Throws<InvalidOperationException>(() => SslHelper.DoHandshake(socket));
            Expect.Throws<ArgumentNullException>(() => handle.AddTrustFile(null));
            Expect.Throws<ArgumentNullException>(() => handle.AddTrustPem(null));
            Expect.Throws<ArgumentNullException>(() => handle.SetIdentityPem(null, new byte[1]));
            Expect.Throws<ArgumentNullException>(() => handle.Connect(null));
            Expect.Throws<ArgumentOutOfRangeException>(() => handle.SetTimeout(SslTimeout.Close, -2));
            Expect.Throws<ArgumentNullException>(() => handle.Send(null, 0, 0));
            Expect.Throws<ArgumentOutOfRangeException>(() => handle.Send(new byte[2], 3, 0));
            Expect.Throws<ArgumentOutOfRangeException>(() => handle.Receive(new byte[2], 1, 2));
            Expect.Throws<ArgumentOutOfRangeException>(() => handle.Receive(new byte[2], 1, -1));
        }
        using (var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            Peers.ExpectCode(SslError.Invalid, () => SslSocket.For(datagrams));
        }
        Peers.ExpectCode(SslError.Invalid, () => SslSocket.FromDescriptor(-1));
    }

    private static void NamesOutsideAscii()
    {
        using (Socket socket = Peers.Recorded("serve known"))
        {
            var helper = new HookedHelper(socket, "b\u00fccher.test", it => it.OwnVerdict);
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            Expect.Throws<SslSocketException>(helper.DoHandshake);
            Expect.Equal("xn--bcher-kva.test", helper.Host);
            Expect.Equal("xn--bcher-kva.test", helper.SslSocket.GetVerifyText(SslVerifyText.Expected));
            Expect.Equal(SslCauses.Name, helper.SslSocket.VerifyReport.Causes);
        }
        using (Socket socket = Peers.Recorded("serve known"))
        {
            var error = Expect.Throws<ArgumentException>(() => new SslHelper(socket, "\u00fc..test", true));
            Expect.Contains("IDNA", error.Message);
        }
    }

    private static void SettingsThatCannotBeUsed()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            SslSocket handle = SslSocket.For(socket);
            var error = Expect.Throws<SslSocketException>(() => handle.AddTrustFile("/nonexistent"));
            Expect.Equal((int)SslError.Io, error.Code, "code");
            Expect.Equal(2, error.SystemError, "errno");
            ExpectError(
                () => handle.AddTrustPem(new byte[] { 1, 2, 3 }), SslError.BadData, SslErrorCategory.Certificate, 5, "");
            ExpectError(
                () => handle.SetIdentityFile(Peers.Pki("server.pem"), Peers.Pki("client.key")), SslError.BadData,
                SslErrorCategory.Certificate, 5, "");
            ExpectError(
                () => handle.Flags = (SslFlags)1, SslError.Invalid, SslErrorCategory.Usage, 10022, "");
            ExpectError(() => handle.SetTimeout(SslTimeout.Close, 0), SslError.Invalid, SslErrorCategory.Usage, 10022, "");
            ExpectError(() => GC.KeepAlive(handle.SessionInfo), SslError.State, SslErrorCategory.Usage, 10022, "");
            ExpectError(() => handle.Send(new byte[1], 0, 1), SslError.State, SslErrorCategory.Usage, 10022, "");
        }
    }

    private static void WinsockNumbers()
    {
        string page = File.ReadAllText(Peers.Variable("SSLSOCK_ERRORS_PAGE"));
        var rows = Regex.Matches(page, @"^\| (\d+) \| `SSL_ERR_\w+` \|[^|]*\|[^|]*\| ([^|]+) \|", RegexOptions.Multiline);
        Expect.True(rows.Count > 30, "the page has its rows");
        var number = typeof(SslSocket).Assembly.GetType("SslSock.WinsockError").GetMethod(
            "Of", System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic);
        foreach (Match row in rows)
        {
            int code = int.Parse(row.Groups[1].Value);
            // Of several numbers the first, or the one for an errno that means nothing.
            string wanted = Regex.Match(row.Groups[2].Value, code == (int)SslError.Io ? @"else (\d+)" : @"^(\d+)").Groups[1].Value;
            Expect.Equal(int.Parse(wanted), (int)number.Invoke(null, new object[] { code, 0 }), "number of " + code);
        }
    }
}
