using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using SslSock;

/// <summary>The peers that unit.py has started, and conversations with them.</summary>
static class Peers
{
    internal const string Name = "mail.test";

    private static int lastTicket;

    internal static string Pki(string file)
    {
        return Path.Combine(Variable("SSLSOCK_PKI"), file);
    }

    internal static string Variable(string name)
    {
        string value = Environment.GetEnvironmentVariable(name);
        if (string.IsNullOrEmpty(value))
        {
            throw new Skipped(name + " is not set: the peer is not there");
        }
        return value;
    }

    internal static EndPoint Address(string variable)
    {
        string value = Variable(variable);
        if (value.StartsWith("/"))
        {
            return new SslUnixEndPoint(value);
        }
        int colon = value.LastIndexOf(':');
        return new IPEndPoint(IPAddress.Parse(value.Substring(0, colon)), int.Parse(value.Substring(colon + 1)));
    }

    /// <summary>Where nobody listens.</summary>
    internal static EndPoint Nobody()
    {
        using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            listener.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
            return listener.LocalEndPoint;
        }
    }

    internal static string NewTicket()
    {
        return "t" + System.Diagnostics.Process.GetCurrentProcess().Id + "-" + Interlocked.Increment(ref lastTicket);
    }

    internal static Socket NewSocket(EndPoint endPoint)
    {
        bool isUnix = endPoint.AddressFamily == AddressFamily.Unix;
        return new Socket(endPoint.AddressFamily, SocketType.Stream, isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
    }

    internal static Socket Connect(string variable)
    {
        EndPoint endPoint = Address(variable);
        Socket socket = NewSocket(endPoint);
        socket.Connect(endPoint);
        return socket;
    }

    /// <summary>A connection to the TLS peer that has just said "go ahead".</summary>
    internal static Socket AfterStartTls(string ticket = null, string variable = "SSLSOCK_PEER")
    {
        Socket socket = Connect(variable);
        Send(socket, "STARTTLS " + (ticket ?? NewTicket()) + "\n");
        Expect.Equal("220 go ahead", ReadLine(socket));
        return socket;
    }

    /// <summary>
    /// A connection to the recording peer that has just said "go ahead", and will do what the order says.
    /// </summary>
    internal static Socket Recorded(string order, string ticket = null)
    {
        Socket socket = Connect("SSLSOCK_RECORDER");
        ReadLine(socket);
        Send(socket, "ORDER " + (ticket ?? NewTicket()) + " " + order + "\n");
        ReadLine(socket);
        Send(socket, "STARTTLS\n");
        Expect.Equal("220 go ahead", ReadLine(socket));
        return socket;
    }

    /// <summary>What the recording peer says came before the end: "RAW STARTTLS PLAIN END".</summary>
    internal static string[] Record(string ticket)
    {
        using (Socket control = Connect("SSLSOCK_RECORDER_CONTROL"))
        {
            Send(control, "record " + ticket + "\n");
            return ReadLine(control).Split(new[] { ' ' }, 4);
        }
    }

    /// <summary>What the TLS peer says under a ticket: "BYTES END".</summary>
    internal static string Result(string ticket)
    {
        using (Socket control = Connect("SSLSOCK_PEER_RESULTS"))
        {
            Send(control, ticket + "\n");
            return ReadLine(control);
        }
    }

    /// <summary>A helper that trusts the tests' authority; its handshake has not been made.</summary>
    internal static SslHelper Helper(Socket socket, string host = Name)
    {
        var helper = new SslHelper(socket, host, true);
        helper.SslSocket.AddTrustFile(Pki("ca.pem"));
        return helper;
    }

    /// <summary>Two ends of a TCP connection in clear.</summary>
    internal static void Pair(out Socket near, out Socket far)
    {
        using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen(1);
            near = NewSocket(listener.LocalEndPoint);
            near.Connect(listener.LocalEndPoint);
            far = listener.Accept();
        }
    }

    /// <summary>An upgraded connection to the peer, which echoes from now on.</summary>
    internal static Socket Echo(out SslHelper helper, string variable = "SSLSOCK_PEER")
    {
        Socket socket = AfterStartTls(null, variable);
        helper = Helper(socket);
        helper.DoHandshake();
        Send(socket, "echo\n");
        return socket;
    }

    /// <summary>Sends a line to a peer that echoes, and reads it again.</summary>
    internal static void Exchange(Socket socket, string line)
    {
        Send(socket, line + "\n");
        Expect.Equal(line, ReadLine(socket));
    }

    internal static void Send(Socket socket, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        for (int sent = 0; sent < bytes.Length;)
        {
            sent += socket.Send(bytes, sent, bytes.Length - sent, SocketFlags.None);
        }
    }

    /// <summary>Up to the end of the line and no further; without "\r\n".</summary>
    internal static string ReadLine(Socket socket)
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (socket.Receive(one) == 1 && one[0] != '\n')
        {
            line.Append((char)one[0]);
        }
        return line.ToString().TrimEnd('\r');
    }

    /// <summary>The call fails with that code.</summary>
    internal static SslSocketException ExpectCode(SslError code, Action action)
    {
        var error = Expect.Throws<SslSocketException>(action);
        Expect.Equal((int)code, error.Code, "code of " + error);
        return error;
    }

    /// <summary>A socket whose handshake has failed neither sends nor gives anything.</summary>
    internal static void ExpectDead(Socket socket)
    {
        Expect.Throws<SocketException>(() => Send(socket, "PASS secret\n"));
        try
        {
            Expect.Equal(0, socket.Receive(new byte[100]), "bytes received after a failed handshake");
        }
        catch (SocketException)
        {
            // As good.
        }
    }
}

/// <summary>A helper with a hook.</summary>
class HookedHelper : SslHelper
{
    private readonly Func<HookedHelper, int> decide;

    internal HookedHelper(Socket socket, string host, Func<HookedHelper, int> decide) : base(socket, host, true)
    {
        this.decide = decide;
    }

    internal uint Type { get; private set; }
    internal uint ChainLength { get; private set; }
    internal uint HookFlags { get; private set; }
    internal string Host { get; private set; }
    internal byte[] Certificate { get; private set; }
    internal int Calls { get; private set; }
    internal int Thread { get; private set; }

    internal int OwnVerdict
    {
        get { return base.ValidateCert(Type, IntPtr.Zero, ChainLength, IntPtr.Zero, HookFlags); }
    }

    protected override int ValidateCert(uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
    {
        Calls++;
        Type = dwType;
        ChainLength = dwChainLen;
        HookFlags = dwFlags;
        Host = System.Runtime.InteropServices.Marshal.PtrToStringAnsi(pvArg);
        Certificate = CopyCertificate(pCertChain);
        Thread = System.Threading.Thread.CurrentThread.ManagedThreadId;
        return decide(this);
    }
}
