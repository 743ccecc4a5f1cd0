// The FTP program out of the comments on the same article, made complete: it logs in under TLS, asks for the current
// folder and says goodbye.
//
//     ftps.exe HOST PORT USER PASSWORD [CA-FILE]
//
// Only the control connection is there, as in the original. These are the edits to it:
//
//   1. new SslHelper(clientSocket, remoteHost, true): the third argument was missing there, without which the helper
//      of the article would have made the handshake at once, before AUTH;
//   2. remoteHost instead of IpToDomainName.HostName: the name that was meant, not the one that DNS answers;
//   3. the reader of an answer splits at '\n', whose backslash the web page has lost, and ends where the server ends;
//   4. sendCommand makes cmdBytes, and what AUTH and PWD answer is looked at.
//
// USER, PASS and all that follows go out under TLS: if the handshake fails, getSslStream throws and the socket is dead.
using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using SslSock;

class Ftps
{
    private string remoteHost = "";
    private int remotePort = 21;
    private string remoteUser = "";
    private string remotePass = "";
    private SslHelper sslHelper;
    private Socket clientSocket;
    private NetworkStream stream;
    private int retValue = 0;
    private string reply = "";
    private byte[] buffer = new byte[512];
    private static readonly Encoding ASCII = Encoding.ASCII;

    static int Main(string[] arguments)
    {
        if (arguments.Length < 4)
        {
            Console.Error.WriteLine("usage: ftps.exe HOST PORT USER PASSWORD [CA-FILE]");
            return 2;
        }
        if (arguments.Length > 4)
        {
            // Instead of the roots that browsers trust.
            SslDefaults.AddTrustFile(arguments[4]);
        }
        Ftps ftp = new Ftps
        {
            remoteHost = arguments[0], remotePort = int.Parse(arguments[1]),
            remoteUser = arguments[2], remotePass = arguments[3]
        };
        try
        {
            ftp.run();
            return 0;
        }
        catch (Exception failure) when (failure is IOException || failure is SocketException)
        {
            Console.Error.WriteLine(failure.Message);
            return 1;
        }
        finally
        {
            ftp.close();
        }
    }

    private void run()
    {
        //Start with Plain Text:
        loginWithoutUser();
        sendCommand("AUTH TLS");
        if (retValue != 234)
        {
            throw new IOException(reply);
        }

        //change to ssl Socket
        getSslStream();

        //Login  FTP Secure
        login();

        sendCommand("PWD");
        if (retValue != 257)
        {
            throw new IOException(reply);
        }
        Console.WriteLine(reply);
        sendCommand("QUIT");
        Console.WriteLine(reply);
    }

    public void login()
    {
        sendCommand("USER " + remoteUser);
        if (!(retValue == 331 || retValue == 230))
        {
            throw new IOException(reply);
        }
        if (retValue != 230)
        {
            sendCommand("PASS " + remotePass);
            if (!(retValue == 230 || retValue == 202))
            {
                throw new IOException(reply);
            }
        }
    }

    public void loginWithoutUser()
    {
        clientSocket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        IPHostEntry IpToDomainName = Dns.GetHostEntry(remoteHost);
        IPEndPoint ep = new IPEndPoint(
            Array.Find(IpToDomainName.AddressList, one => one.AddressFamily == AddressFamily.InterNetwork), remotePort);
        using (sslHelper = new SslHelper(clientSocket, remoteHost, true))
        {
            try
            {
                clientSocket.Connect(ep);
            }
            catch (Exception)
            {
                throw new IOException("Couldn't connect to remote server");
            }
        }
        readReply();
        if (retValue != 220)
        {
            throw new IOException(reply);
        }
    }

    public void getSslStream()
    {
        this.getSslStream(clientSocket);
    }

    public void getSslStream(Socket Csocket)
    {
        sslHelper.DoHandshake();
        stream = new NetworkStream(Csocket);
    }

    public void sendCommand(String command)
    {
        byte[] cmdBytes = ASCII.GetBytes((command + "\r\n").ToCharArray());
        clientSocket.Send(cmdBytes, cmdBytes.Length, 0);
        readReply();
    }

    public void close()
    {
        if (stream != null)
        {
            stream.Close();
        }
        if (clientSocket != null)
        {
            clientSocket.Close();
        }
    }

    private void readReply()
    {
        reply = readLine();
        retValue = Int32.Parse(reply.Substring(0, 3));
    }

    private string readLine()
    {
        string mes = "";
        while (!mes.EndsWith("\n"))
        {
            int bytes = clientSocket.Receive(buffer, buffer.Length, 0);
            if (bytes == 0)
            {
                throw new IOException("the server has closed the connection");
            }
            mes += ASCII.GetString(buffer, 0, bytes);
        }
        char[] seperator = { '\n' };
        string[] mess = mes.Split(seperator);
        mes = mess[mess.Length - 2].TrimEnd('\r');
        if (mes.Length < 4 || !mes.Substring(3, 1).Equals(" "))
        {
            return readLine();
        }
        return mes;
    }
}
