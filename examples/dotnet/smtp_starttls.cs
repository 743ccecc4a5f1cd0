// The SMTP program of the article about deferred handshakes on Windows Mobile, for a server of today:
//
//     smtp_starttls.exe HOST PORT [CA-FILE]
//
// It speaks in clear up to STARTTLS and under TLS after it, on one Socket and with one StreamReader. The statements are
// the article's, with its variables; besides host, port and trust two lines differ, for servers that are stricter than
// that of 2009: EHLO names the client, and the answer to it ends with any line that begins with "250 ". What is new
// comes after "success": the server is greeted again, for what it said in clear no longer counts.
using System;
using System.Diagnostics;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using SslSock;

static class SmtpStartTls
{
    static int Main(string[] arguments)
    {
        if (arguments.Length < 2)
        {
            Console.Error.WriteLine("usage: smtp_starttls.exe HOST PORT [CA-FILE]");
            return 2;
        }
        if (arguments.Length > 2)
        {
            // Instead of the roots that browsers trust.
            SslDefaults.AddTrustFile(arguments[2]);
        }
        try
        {
            Run(arguments[0], int.Parse(arguments[1]));
            return 0;
        }
        catch (SocketException failure)
        {
            Console.Error.WriteLine(failure.Message);
            return 1;
        }
    }

    static void Run(string SmtpServer, int port)
    {
        IPHostEntry IPhst = Dns.GetHostEntry(SmtpServer);
        IPEndPoint endPt = new IPEndPoint(IPhst.AddressList[0], port);
        Socket s = new Socket(endPt.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using (SslHelper helper = new SslHelper(s, SmtpServer, true))
        {
            string line = null;
            s.Connect(endPt);
            StreamReader sr = new StreamReader(new NetworkStream(s), Encoding.ASCII);
            s.Send(Encoding.ASCII.GetBytes("EHLO client.example\r\n"));
            while (!(line = sr.ReadLine()).StartsWith("250 ")) ;
            s.Send(Encoding.ASCII.GetBytes("STARTTLS\r\n"));
            while (!(line = sr.ReadLine()).StartsWith("220")) ;
            helper.DoHandshake();
            Console.WriteLine("success");

            Console.WriteLine(helper.SslSocket.SessionInfo);
            s.Send(Encoding.ASCII.GetBytes("EHLO client.example\r\n"));
            while (!(line = sr.ReadLine()).StartsWith("250 ")) ;
            s.Send(Encoding.ASCII.GetBytes("QUIT\r\n"));
            Console.WriteLine(sr.ReadLine());
        }
        s.Close();
    }
}
