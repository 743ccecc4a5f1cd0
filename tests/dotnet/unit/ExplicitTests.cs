using System;
using System.Linq;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using SslSock;

/// <summary>Explicit mode, and the server role.</summary>
static class ExplicitTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("explicit: send and receive", SendAndReceive);
        tests.Add("explicit: what waits, peeking, waiting for all", PendingAndFlags);
        tests.Add("explicit: would block", WouldBlock);
        tests.Add("explicit: half-close", HalfClose);
        tests.Add("explicit: truncation is an error", Truncation);
        tests.Add("explicit: a handshake that does not block", NonBlockingHandshake);
        tests.Add("explicit: disposing ends the session", () => EndOfSession(false));
        tests.Add("explicit: so does the collector", () => EndOfSession(true));
        tests.Add("helper with the flag NonBlocking", () => HelperRefuses(SslFlags.NonBlocking));
        tests.Add("helper with the flag ExplicitIo", () => HelperRefuses(SslFlags.ExplicitIo));
        tests.Add("server role", ServerRole);
        tests.Add("identity of a client", ClientIdentity);
        tests.Add("TLS within TLS", Nested);
    }

    private static SslSocket Begin(Socket socket, string order, SslFlags flags = SslFlags.ExplicitIo)
    {
        SslSocket handle = SslSocket.For(socket);
        handle.AddTrustFile(Peers.Pki("ca.pem"));
        handle.Flags = flags;
        Expect.Equal(SslError.Okay, handle.PerformHandshake(Peers.Name));
        Send(handle, order + "\n");
        return handle;
    }

    private static void Send(SslSocket handle, string text)
    {
        byte[] bytes = Encoding.ASCII.GetBytes("__" + text);
        Expect.Equal(text.Length, handle.Send(bytes, 2, text.Length), "accepted");
    }

    private static string Receive(SslSocket handle, int count, SslMessageFlags flags = SslMessageFlags.None)
    {
        var buffer = new byte[count + 3];
        int received = handle.Receive(buffer, 3, count, flags);
        Expect.Bytes(new byte[3], buffer.Take(3).ToArray(), "what is before the offset");
        return Encoding.ASCII.GetString(buffer, 3, received);
    }

    private static void SendAndReceive()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = Begin(socket, "echo");
            Send(handle, "hello");
            Expect.Equal("hello", Receive(handle, 5, SslMessageFlags.WaitAll));
            Expect.Equal(0, handle.Send(new byte[0], 0, 0), "nothing");
            Expect.Equal(0, handle.Receive(new byte[0], 0, 0), "nothing");
        }
    }

    private static void PendingAndFlags()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = Begin(socket, "echo");
            Send(handle, "0123456789");
            Expect.Equal("0", Receive(handle, 1));
            Expect.Equal(9L, handle.Pending, "pending");
            Expect.Equal("123", Receive(handle, 3, SslMessageFlags.Peek));
            Expect.Equal("123456789", Receive(handle, 9, SslMessageFlags.WaitAll | SslMessageFlags.DontWait));
            Expect.Equal(0L, handle.Pending, "pending");
        }
    }

    private static void WouldBlock()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = Begin(socket, "echo");
            var error = Expect.Throws<SslSocketException>(() => Receive(handle, 1, SslMessageFlags.DontWait));
            Expect.Equal(SslErrorCategory.WouldBlock, error.Category);
            Expect.Equal(SocketError.WouldBlock, error.SocketErrorCode);
            Expect.Equal((int)SslError.WantRead, error.Code, "code");
            Send(handle, "go on");
            Expect.Equal("go on", Receive(handle, 5, SslMessageFlags.WaitAll));
        }
    }

    private static void HalfClose()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = Begin(socket, "answer 1000");
            handle.Shutdown(SocketShutdown.Send);
            Expect.Equal(1000, Receive(handle, 1000, SslMessageFlags.WaitAll).Length, "bytes");
            Expect.Equal("", Receive(handle, 1));
            var error = Expect.Throws<SslSocketException>(() => Send(handle, "more"));
            Expect.Equal((int)SslError.State, error.Code, "code");
        }
    }

    private static void Truncation()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = Begin(socket, "truncate 10");
            Expect.Equal(10, Receive(handle, 10, SslMessageFlags.WaitAll).Length, "bytes");
            var error = Expect.Throws<SslSocketException>(() => Receive(handle, 1));
            Expect.Equal((int)SslError.Truncated, error.Code, "code");
            Expect.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        }
    }

    private static void NonBlockingHandshake()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslSocket handle = SslSocket.For(socket);
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.Flags = SslFlags.ExplicitIo | SslFlags.NonBlocking;
            int waits = 0;
            SslError answer;
            while ((answer = handle.PerformHandshake(Peers.Name)) != SslError.Okay)
            {
                waits++;
                SelectMode mode = answer == SslError.WantRead ? SelectMode.SelectRead : SelectMode.SelectWrite;
                Expect.True(socket.Poll(30000000, mode), "it is ready in time");
            }
            Expect.True(waits > 0, "it had to wait");
            Expect.True(handle.IsSecure, "it is secure");
        }
    }

    private static void EndOfSession(bool byCollector)
    {
        string ticket = Peers.NewTicket();
        using (Socket socket = Peers.AfterStartTls())
        {
            // On a thread of its own, whose stack cannot hold anything afterwards.
            var thread = new Thread(() => Leave(socket, ticket, byCollector));
            thread.Start();
            thread.Join();
            for (int i = 0; i < 20; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
            Expect.Equal("0 other bytes, close_notify", Peers.Result(ticket));
        }
    }

    private static void Leave(Socket socket, string ticket, bool byCollector)
    {
        // Not by For: the socket would keep it.
        SslSocket handle = SslSocket.FromDescriptor((int)socket.Handle);
        handle.AddTrustFile(Peers.Pki("ca.pem"));
        handle.Flags = SslFlags.ExplicitIo;
        handle.PerformHandshake(Peers.Name);
        Send(handle, "sink " + ticket + "\nlast words");
        if (!byCollector)
        {
            handle.Dispose();
            Expect.Throws<ObjectDisposedException>(() => Send(handle, "more"));
        }
    }

    private static void HelperRefuses(SslFlags flags)
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            var helper = new SslHelper(socket, Peers.Name, true);
            helper.SslSocket.Flags = flags;
            Expect.Contains("SslSocket.PerformHandshake", Expect.Throws<InvalidOperationException>(helper.DoHandshake).Message);
            Peers.ExpectDead(socket);
        }
    }

    private static void ServerRole()
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
            client.AddTrustPem(System.IO.File.ReadAllBytes(Peers.Pki("ca.pem")));
            client.PerformHandshake(Peers.Name);
            Expect.Equal(SslError.Okay, served.Result);
            Peers.Send(near, "to the server\n");
            Expect.Equal("to the server", Peers.ReadLine(far));
            Peers.Send(far, "to the client\n");
            Expect.Equal("to the client", Peers.ReadLine(near));
        }
    }

    private static void ClientIdentity()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_DEMANDING"))
        {
            var helper = new SslHelper(socket, Peers.Name, true);
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            helper.SslSocket.SetIdentityPem(
                System.IO.File.ReadAllBytes(Peers.Pki("client-chain.pem")), System.IO.File.ReadAllBytes(Peers.Pki("client.key")));
            helper.DoHandshake();
            Expect.Equal("CN=user", Peers.ReadLine(socket));
        }
    }

    private static void Nested()
    {
        Socket near, far;
        Peers.Pair(out near, out far);
        using (near)
        using (far)
        {
            foreach (bool isOuter in new[] { true, false })
            {
                SslSocket server = isOuter ? SslSocket.For(far) : SslSocket.Nested(far);
                server.Flags = SslFlags.Server;
                server.SetIdentityFile(Peers.Pki("server-chain.pem"), Peers.Pki("server.key"));
                Task<SslError> served = server.PerformHandshakeAsync();
                SslSocket client = isOuter ? SslSocket.For(near) : SslSocket.Nested(near);
                Expect.True(ReferenceEquals(client, SslSocket.For(near)), "it is the socket's");
                client.AddTrustFile(Peers.Pki("ca.pem"));
                client.PerformHandshake(Peers.Name);
                Expect.Equal(SslError.Okay, served.Result);
            }
            Peers.Send(near, "twice wrapped\n");
            Expect.Equal("twice wrapped", Peers.ReadLine(far));
        }
    }
}
