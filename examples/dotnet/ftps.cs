// Transfers files over FTP with TLS on both connections, that of the commands and those of the files:
//
//     ftps.exe [--implicit] [--active] [--tls 1.2|1.3] [--trust FILE] [--name NAME]
//              [--user USER] [--password PASSWORD] [--without-session] HOST PORT COMMAND...
//
//     list                 show the folder
//     put LOCAL REMOTE     upload a file
//     get REMOTE LOCAL     download a file
//
// as many of these as wanted, one after the other in one session.
//
// It has grown out of the FTP clients in the comments on the same article: loginWithoutUser, getSslStream, login,
// sendCommand, readReply and createDataSocket are theirs. These are the edits to what stands there:
//
//   1. new SslHelper(clientSocket, name, true): the third argument was missing there, without which the helper makes the
//      handshake at once, before AUTH;
//   2. the name that was meant, not the one that DNS answers for the address;
//   3. readLine ends where the line ends, and reads no further: what follows the answer to AUTH is TLS;
//   4. the data connection has a helper of its own, made from that of the first connection: new SslHelper(sslHelper, s,
//      true). It resumes its session, which many servers demand. Its handshake comes when the server has answered 150,
//      not before: until then the server does not speak TLS there, and both would wait for ever.
//
// On standard output: "C: " what we said, "S: " what the server answered, "entry: " a line of a listing, "resumed: yes" or
// "no" for each data connection. The status is 0 only if everything worked. Read run() first, then transfer().
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using SslSock;

class Ftps
{
    private const int Timeout = 60000;
    private const int LastAnswerTimeout = 10000; // after a failure, for the server's explanation
    private const int BlockSize = 65536; // a file passes through memory in blocks of this size
    private const int LongestLine = 4096;

    // A character for each octet: what the server and the disk call their files is not ours to judge.
    private static readonly Encoding Octets = Encoding.GetEncoding("iso-8859-1");
    private static readonly TextWriter output = Writer(Console.OpenStandardOutput());
    private static readonly TextWriter errors = Writer(Console.OpenStandardError());

    private bool isImplicit;
    private bool isActive;
    private bool isWithoutSession;
    private TlsVersion? version;
    private string trustFile;
    private string name;
    private string remoteUser = "anonymous";
    private string remotePass = "user@";
    private string remoteHost;
    private int remotePort;
    private readonly List<string[]> commands = new List<string[]>();

    private SslHelper sslHelper;
    private Socket clientSocket;
    private int retValue;
    private string reply;

    static int Main(string[] arguments)
    {
        var ftp = new Ftps();
        try
        {
            ftp.readArguments(arguments);
        }
        catch (ArgumentException wrong)
        {
            errors.WriteLine("ftps: " + OctetsOf(wrong.Message));
            errors.WriteLine(
                "usage: ftps.exe [--implicit] [--active] [--tls 1.2|1.3] [--trust FILE] [--name NAME]\n" +
                "                [--user USER] [--password PASSWORD] [--without-session] HOST PORT COMMAND...\n" +
                "commands: list, put LOCAL REMOTE, get REMOTE LOCAL");
            return 2;
        }
        try
        {
            ftp.run();
            return 0;
        }
        catch (Exception failure) when (
            failure is IOException || failure is SocketException || failure is UnauthorizedAccessException)
        {
            complain(failure);
            return 1;
        }
        finally
        {
            ftp.close();
        }
    }

    private void run()
    {
        loginWithoutUser();
        if (!isImplicit)
        {
            sendCommand("AUTH TLS", 234);
            getSslStream();
        }

        // Only now, for until now everything went out in clear.
        login();
        // RFC 4217, section 9: the size of a buffer that TLS does not need, then TLS for the data, too.
        sendCommand("PBSZ 0", 200);
        sendCommand("PROT P", 200);
        sendCommand("TYPE I", 200);
        sendCommand("PWD", 257);

        foreach (string[] command in commands)
        {
            switch (command[0])
            {
                case "list":
                    transfer("LIST", showListing);
                    break;
                case "put":
                    upload(command[1], command[2]);
                    break;
                case "get":
                    download(command[1], command[2]);
                    break;
            }
        }
        sendCommand("QUIT", 221);
    }

    // The first connection, to the server's greeting, which comes in clear unless TLS is implicit.
    private void loginWithoutUser()
    {
        if (trustFile != null)
        {
            // Instead of the roots that browsers trust.
            SslDefaults.AddTrustFile(trustFile);
        }
        clientSocket = connectToServer();
        sslHelper = new SslHelper(clientSocket, name, true);
        prepare(sslHelper);
        if (isImplicit)
        {
            getSslStream();
        }
        readReply(220);
    }

    private void login()
    {
        sendCommand("USER " + OctetsOf(remoteUser));
        if (retValue == 331)
        {
            sendCommand("PASS " + OctetsOf(remotePass));
        }
        if (!(retValue == 230 || retValue == 232))
        {
            throw refused();
        }
    }

    public void close()
    {
        if (clientSocket != null)
        {
            clientSocket.Close();
        }
    }

    // ---- TLS: everything that has to do with SslSock ----

    private void prepare(SslHelper helper)
    {
        if (version != null)
        {
            helper.SslSocket.SetProtocols(version.Value, version.Value);
        }
        if (isWithoutSession)
        {
            helper.SslSocket.Flags |= SslFlags.NoResumption;
        }
    }

    // If the handshake fails it throws, and the socket is dead: no password goes out in clear.
    private void getSslStream()
    {
        sslHelper.DoHandshake();
        output.WriteLine("tls: " + sslHelper.SslSocket.SessionInfo.ProtocolName);
    }

    // The helper of a data connection has the name, the settings and the session of the first connection's.
    private SslHelper createDataHelper(Socket dataSocket)
    {
        if (isWithoutSession)
        {
            var helper = new SslHelper(dataSocket, name, true);
            prepare(helper);
            return helper;
        }
        var dataHelper = new SslHelper(sslHelper, dataSocket, true);
        // Without this a server that does not resume the session would get the file all the same.
        dataHelper.SslSocket.Flags |= SslFlags.RequireResumption;
        return dataHelper;
    }

    // ---- The commands: listing, upload, download ----

    private delegate void Carry(NetworkStream data);

    private void transfer(string command, Carry carry)
    {
        using (Socket listener = isActive ? listen() : null)
        {
            Socket dataSocket = isActive ? null : createDataSocket();
            try
            {
                sendCommand(command);
                if (retValue != 150 && retValue != 125)
                {
                    throw refused();
                }
                // Now the server begins with TLS there.
                dataSocket = dataSocket ?? accept(listener);
                carryUnderTls(dataSocket, carry);
            }
            finally
            {
                if (dataSocket != null)
                {
                    dataSocket.Close();
                }
            }
        }
        readReply();
        if (retValue != 226 && retValue != 250)
        {
            throw refused();
        }
    }

    private void carryUnderTls(Socket dataSocket, Carry carry)
    {
        SslHelper dataHelper = createDataHelper(dataSocket);
        try
        {
            dataHelper.DoHandshake();
            output.WriteLine("resumed: " + (dataHelper.SslSocket.SessionInfo.IsResumed ? "yes" : "no"));
            carry(new NetworkStream(dataSocket));
        }
        catch (Exception failure) when (failure is SocketException || failure.InnerException is SocketException)
        {
            // The library knows more than the socket: that the data was cut short, say.
            complain(dataHelper.SslSocket.Error ?? failure);
            dataSocket.Close();
            throw explained();
        }
        catch (Exception)
        {
            // Something is wrong here. A clean end would make a whole file of what has been sent: break it off.
            dataSocket.LingerState = new LingerOption(true, 0);
            throw;
        }
    }

    private void showListing(NetworkStream data)
    {
        var reader = new StreamReader(data, Octets);
        string line;
        while ((line = reader.ReadLine()) != null)
        {
            output.WriteLine("entry: " + visible(line));
        }
    }

    private void upload(string local, string remote)
    {
        using (FileStream file = File.OpenRead(local))
        {
            // The end of the connection is the end of the file; the server's answer says whether it has got it.
            transfer("STOR " + OctetsOf(remote), data => file.CopyTo(data, BlockSize));
        }
    }

    // A file that is not complete does not get its name.
    private void download(string remote, string local)
    {
        string part = local + ".part";
        try
        {
            using (FileStream file = File.Create(part))
            {
                // 0 is the server's own end of the file. If the connection ends without it, Read throws.
                transfer("RETR " + OctetsOf(remote), data => data.CopyTo(file, BlockSize));
            }
            File.Delete(local);
            File.Move(part, local);
        }
        finally
        {
            File.Delete(part);
        }
    }

    // ---- Sockets, the same with TLS and without ----

    private Socket connectToServer()
    {
        SocketException last = null;
        foreach (IPAddress address in Dns.GetHostAddresses(remoteHost))
        {
            try
            {
                return connect(new IPEndPoint(address, remotePort));
            }
            catch (SocketException failure)
            {
                last = failure;
            }
        }
        throw new IOException("Couldn't connect to remote server: " + (last == null ? "no address" : last.Message), last);
    }

    private static Socket connect(IPEndPoint endPoint)
    {
        var s = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            limit(s);
            s.Connect(endPoint);
            return s;
        }
        catch (SocketException)
        {
            s.Close();
            throw;
        }
    }

    private static void limit(Socket s)
    {
        s.ReceiveTimeout = Timeout;
        s.SendTimeout = Timeout;
    }

    // Passive: the server says on which port it waits. Where, we know: following the address in its answer would let it
    // send us to a third one. The helper knows the address; the socket's own RemoteEndPoint is within the library now.
    private Socket createDataSocket()
    {
        IPAddress server = ((IPEndPoint)sslHelper.RemoteEndPoint).Address;
        int port = 0;
        sendCommand("EPSV");
        if (isUnknown() && server.AddressFamily == AddressFamily.InterNetwork)
        {
            sendCommand("PASV");
        }
        Match found = Regex.Match(reply, retValue == 229 ? @"\((.)\1\1(\d{1,5})\1\)" : @"(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})");
        if (retValue == 229 && found.Success)
        {
            port = Number(found, 2);
        }
        else if (retValue == 227 && found.Success && Number(found, 1) < 256 && Number(found, 2) < 256)
        {
            port = Number(found, 1) * 256 + Number(found, 2);
        }
        else if (retValue >= 400)
        {
            throw refused();
        }
        if (port == 0 || port > IPEndPoint.MaxPort)
        {
            throw new IOException("There is no port in the server's answer: " + visible(reply));
        }
        return connect(new IPEndPoint(server, port));
    }

    // Active: the server connects, and we are the TLS client all the same.
    private Socket listen()
    {
        IPAddress own = ((IPEndPoint)sslHelper.LocalEndPoint).Address;
        bool isIPv4 = own.AddressFamily == AddressFamily.InterNetwork;
        var listener = new Socket(own.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(own, 0));
            listener.Listen(1);
            int port = ((IPEndPoint)listener.LocalEndPoint).Port;
            // Without the interface that an IPv6 address may have.
            string host = own.ToString().Split('%')[0];
            sendCommand("EPRT |" + (isIPv4 ? 1 : 2) + "|" + host + "|" + port + "|");
            if (isUnknown() && isIPv4)
            {
                sendCommand("PORT " + host.Replace('.', ',') + "," + port / 256 + "," + port % 256);
            }
            if (retValue != 200)
            {
                throw refused();
            }
            return listener;
        }
        catch (Exception)
        {
            listener.Close();
            throw;
        }
    }

    // Whoever connects from elsewhere than the server is sent away.
    private Socket accept(Socket listener)
    {
        IPAddress server = ((IPEndPoint)sslHelper.RemoteEndPoint).Address;
        while (listener.Poll(Timeout * 1000, SelectMode.SelectRead))
        {
            Socket accepted = listener.Accept();
            if (((IPEndPoint)accepted.RemoteEndPoint).Address.Equals(server))
            {
                limit(accepted);
                return accepted;
            }
            accepted.Close();
        }
        throw new IOException(
            "The server did not connect in time.\n  What to do: a firewall or an address translator may be between: leave " +
            "--active away.");
    }

    // The extended commands are newer (RFC 2428).
    private bool isUnknown()
    {
        return retValue == 500 || retValue == 501 || retValue == 502 || retValue == 522;
    }

    // ---- Commands and answers ----

    private void sendCommand(string command, int expected)
    {
        sendCommand(command);
        if (retValue != expected)
        {
            throw refused();
        }
    }

    private void sendCommand(string command)
    {
        output.WriteLine("C: " + (command.StartsWith("PASS ") ? "PASS ***" : visible(command)));
        byte[] cmdBytes = Octets.GetBytes(command + "\r\n");
        new NetworkStream(clientSocket).Write(cmdBytes, 0, cmdBytes.Length);
        readReply();
    }

    private void readReply(int expected)
    {
        readReply();
        if (retValue != expected)
        {
            throw refused();
        }
    }

    // One or more lines: the first has a '-' after its code if more follow, and the last is the first with that code
    // and no '-' (RFC 959, section 4.2).
    private void readReply()
    {
        reply = readLine();
        Match code = Regex.Match(reply, "^[0-9]{3}");
        if (!code.Success)
        {
            throw new IOException("That is not the answer of an FTP server: " + visible(reply));
        }
        retValue = Number(code, 0);
        if (reply.StartsWith(code.Value + "-"))
        {
            do
            {
                reply = readLine();
            }
            while (!reply.StartsWith(code.Value) || reply.StartsWith(code.Value + "-"));
        }
    }

    private string readLine()
    {
        var line = new StringBuilder();
        var buffer = new byte[1];
        while (line.Length < LongestLine)
        {
            if (clientSocket.Receive(buffer, 1, SocketFlags.None) == 0)
            {
                throw new IOException("The server has closed the connection.");
            }
            if (buffer[0] == '\n')
            {
                string text = line.ToString().TrimEnd('\r');
                output.WriteLine("S: " + visible(text));
                return text;
            }
            line.Append((char)buffer[0]);
        }
        throw new IOException("That is not the answer of an FTP server: a line has no end.");
    }

    // ---- What goes wrong ----

    // The data connection has failed. The server often knows the reason better, and says so on the first connection.
    private IOException explained()
    {
        try
        {
            clientSocket.ReceiveTimeout = LastAnswerTimeout;
            readReply();
            if (retValue >= 400)
            {
                return refused();
            }
        }
        catch (Exception failure) when (failure is IOException || failure is SocketException)
        {
            // It says nothing.
        }
        return new IOException("The transfer is not complete.");
    }

    private IOException refused()
    {
        return new IOException("The server refuses: " + visible(reply) + "\n  What to do: " + Advice(retValue));
    }

    private static string Advice(int code)
    {
        switch (code)
        {
            case 421:
                return "the server ends the session; try again later.";
            case 425:
                return "the data connection could not be made. A firewall or an address translator may be between:\n" +
                    "  use --active if you did not, leave it away if you did.";
            case 426:
                return "the data connection was cut before its end: the transfer is not complete. Do it again.";
            case 431:
            case 500:
            case 502:
            case 504:
            case 534:
            case 536:
                return "the server does not know or does not allow this. If that was AUTH TLS, it has no TLS on this port:\n" +
                    "  ask for another one (with --implicit often 990).";
            case 522:
                return "the server wants data connections that resume the TLS session of the first connection (then do not\n" +
                    "  use --without-session), or with other TLS settings than ours.";
            case 530:
                return "not logged in: check --user and --password.";
            case 450:
            case 550:
            case 553:
                return "the server cannot or will not do this with that file: check its name and your rights there.";
            default:
                return "see what the server objects to.";
        }
    }

    private static void complain(Exception failure)
    {
        // NetworkStream puts the socket's into one of its own.
        var tls = failure as SslSocketException ?? failure.InnerException as SslSocketException;
        errors.WriteLine("ftps: " + OctetsOf(tls == null ? failure.Message : tls.Text + " (" + tls.CodeName + ")"));
        string advice = tls == null ? null : Advice((SslError)tls.Code);
        if (advice != null)
        {
            errors.WriteLine("  What to do: " + advice);
        }
    }

    private static string Advice(SslError code)
    {
        switch (code)
        {
            case SslError.CertUnknown:
                return "if you trust this server's own CA, give its certificate with --trust FILE.";
            case SslError.Name:
                return "give the name that the certificate is for with --name NAME, if you mean it.";
            case SslError.NotResumed:
                return "the server does not let the data connection resume the session of the first connection. So it\n" +
                    "  cannot tell by the session that both are yours. If you want the transfer all the same, use\n" +
                    "  --without-session.";
            case SslError.NotTls:
                return "do not send anything secret here. If the port is for TLS from the first byte, use --implicit.";
            case SslError.EarlyData:
                return "do not send anything secret here: the server is faulty, or somebody is between.";
            case SslError.Truncated:
            case SslError.Reset:
                return "the connection was cut: what came is not complete. Do it again.";
            default:
                return null;
        }
    }

    // ---- Helpers ----

    private void readArguments(string[] arguments)
    {
        var words = new List<string>(arguments);
        while (words.Count > 0 && words[0].StartsWith("--"))
        {
            string option = next(words, "");
            switch (option)
            {
                case "--implicit":
                    isImplicit = true;
                    break;
                case "--active":
                    isActive = true;
                    break;
                case "--without-session":
                    isWithoutSession = true;
                    break;
                case "--trust":
                    trustFile = next(words, option);
                    break;
                case "--name":
                    name = next(words, option);
                    break;
                case "--user":
                    remoteUser = word(next(words, option));
                    break;
                case "--password":
                    remotePass = word(next(words, option));
                    break;
                case "--tls":
                    string wanted = next(words, option);
                    if (wanted != "1.2" && wanted != "1.3")
                    {
                        throw new ArgumentException("there is 1.2 and 1.3 only, not " + wanted);
                    }
                    version = wanted == "1.2" ? TlsVersion.Tls12 : TlsVersion.Tls13;
                    break;
                default:
                    throw new ArgumentException("unknown option " + option);
            }
        }
        remoteHost = next(words, "the options: HOST");
        name = name ?? remoteHost;
        if (!int.TryParse(next(words, "HOST"), NumberStyles.None, CultureInfo.InvariantCulture, out remotePort)
            || remotePort == 0 || remotePort > IPEndPoint.MaxPort)
        {
            throw new ArgumentException("PORT is a number from 1 to 65535");
        }
        do
        {
            readCommand(words);
        }
        while (words.Count > 0);
    }

    private void readCommand(List<string> words)
    {
        string command = next(words, "PORT: a command");
        switch (command)
        {
            case "list":
                commands.Add(new[] { command });
                break;
            case "put":
                commands.Add(new[] { command, next(words, command), word(next(words, command)) });
                break;
            case "get":
                commands.Add(new[] { command, word(next(words, command)), next(words, command) });
                break;
            default:
                throw new ArgumentException("unknown command " + command);
        }
    }

    private static string next(List<string> words, string after)
    {
        if (words.Count == 0)
        {
            throw new ArgumentException("something is missing after " + after);
        }
        string first = words[0];
        words.RemoveAt(0);
        return first;
    }

    // What goes into commands: a line's end in it would make two commands of one.
    private static string word(string text)
    {
        if (text.Length == 0 || visible(text) != text)
        {
            throw new ArgumentException("a name is empty or has control characters: " + visible(text));
        }
        return text;
    }

    // What others wrote is not trusted with the terminal.
    private static string visible(string text)
    {
        return Regex.Replace(text, @"[\x00-\x1f\x7f]", found => "\\x" + ((int)found.Value[0]).ToString("x2"));
    }

    private static string OctetsOf(string text)
    {
        return Octets.GetString(Encoding.UTF8.GetBytes(text));
    }

    private static int Number(Match match, int group)
    {
        return int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);
    }

    private static TextWriter Writer(Stream stream)
    {
        return new StreamWriter(stream, Octets) { AutoFlush = true };
    }
}
