// The article's SMTP listing stands where "THE LISTING" is written below, in a program that says whom to trust and lets the
// listing's Debug.WriteLine be seen. What comes after it is the test's.
using System;
using System.Diagnostics;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using SslSock;

static class Article
{
    static int Main(string[] arguments)
    {
        SslDefaults.AddTrustFile(arguments[0]);
        Trace.Listeners.Add(new TextWriterTraceListener(Console.Out));
        try
        {
            Listing();
            return 0;
        }
        catch (SocketException failure)
        {
            Console.WriteLine("refused: " + failure.Message);
            return 1;
        }
        finally
        {
            Trace.Flush();
        }
    }

    static void Listing()
    {
// THE LISTING
        // The same Socket, after the handshake.
        s.Send(Encoding.ASCII.GetBytes("EHLO after.test\r\n"));
        StreamReader after = new StreamReader(new NetworkStream(s), Encoding.ASCII);
        for (string answer = after.ReadLine(); answer[3] == '-'; answer = after.ReadLine())
            Console.WriteLine("after: " + answer);
        s.Send(Encoding.ASCII.GetBytes("QUIT\r\n"));
        Console.WriteLine("after: " + after.ReadLine());
    }
}

// What the second form of the listing does with its Socket and its StreamReader when the handshake has been made.
static class Mail
{
    public static void Deliver(Socket s, StreamReader sr)
    {
        string token = Environment.GetEnvironmentVariable("SSLSOCK_TEST_TOKEN");
        Exchange(s, sr, "EHLO client.test", "250");
        Exchange(s, sr, "MAIL FROM:<a@client.test>", "250");
        Exchange(s, sr, "RCPT TO:<b@mail.test>", "250");
        Exchange(s, sr, "DATA", "354");
        Exchange(s, sr, "Subject: from the article\r\n\r\n" + token + "\r\n.", "250");
    }

    static void Exchange(Socket s, StreamReader sr, string command, string expected)
    {
        s.Send(Encoding.ASCII.GetBytes(command + "\r\n"));
        string line;
        do
            line = sr.ReadLine();
        while (line != null && line.StartsWith(expected + "-"));
        if (line == null || !line.StartsWith(expected))
            throw new IOException(command + ": " + line);
    }
}
