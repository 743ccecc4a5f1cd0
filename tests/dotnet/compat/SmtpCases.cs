// The original helper with real conversations, and what becomes of them when the certificate is refused.
using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using SslSock;
using Socket = SslSock.Compat.Socket;

namespace SslTest
{
    public static class SmtpCases
    {
        /// <summary>STARTTLS: the original helper, deferred.</summary>
        public static void Deferred(string way, string server, string token)
        {
            Socket s = Program.NewSocket();
            using (SslHelper helper = new SslHelper(s, "mail.test", true))
            {
                Collect();
                Program.Connect(way, s, Program.Address(server));
                StreamReader sr = new StreamReader(new NetworkStream(s), Encoding.ASCII);
                Expect(sr, "220");
                Command(s, sr, "EHLO client.test", "250");
                Command(s, sr, "STARTTLS", "220");
                helper.DoHandshake();
                Program.Equal(1, Program.HookCalls, "calls of the hook");
                SendMail(s, sr, token);
            }
            Program.Equal(Program.Address(server), s.RemoteEndPoint, "RemoteEndPoint");
            s.Close();
        }

        /// <summary>TLS from the first byte: the original helper, and Connect that makes the handshake.</summary>
        public static void Immediate(string way, string server, string token)
        {
            SslDefaults.PeerName = "mail.test";
            Socket s = Program.NewSocket();
            SslHelper helper = new SslHelper(s, "mail.test");
            Collect();
            Program.Connect(way, s, Program.Address(server));
            Program.Equal(1, Program.HookCalls, "calls of the hook");
            Program.Equal(Program.Address(server), s.RemoteEndPoint, "RemoteEndPoint");
            StreamReader sr = new StreamReader(new NetworkStream(s), Encoding.ASCII);
            Expect(sr, "220");
            SendMail(s, sr, token);
            helper.Dispose();
            s.Close();
        }

        /// <summary>The hook refuses: the helper of the original asks for a known issuer.</summary>
        public static void DeferredRefused(string server)
        {
            Socket s = Program.NewSocket();
            SslHelper helper = new SslHelper(s, "mail.test", true);
            s.Connect(Program.Address(server));
            StreamReader sr = new StreamReader(new NetworkStream(s), Encoding.ASCII);
            Expect(sr, "220");
            Command(s, sr, "EHLO client.test", "250");
            Command(s, sr, "STARTTLS", "220");
            SslSocketException refused = Program.Fails(SslError.CertUnknown, helper.DoHandshake, "the handshake");
            Program.Check(refused.FromHook, "the hook chose the error");
            Program.Equal(10, refused.ErrorCode, "the Winsock number is the hook's value");
            Program.Throws<SocketException>(() => Program.Say(s, "MAIL FROM:<secret@client.test>"), "Send");
            s.Close();
        }

        /// <summary>The same with Connect, in each way.</summary>
        public static void ImmediateRefused(string way, string server)
        {
            SslDefaults.PeerName = "mail.test";
            Socket s = Program.NewSocket();
            SslHelper helper = new SslHelper(s, "mail.test");
            SocketException refused = Program.Throws<SocketException>(
                () => Program.Connect(way, s, Program.Address(server)), "Connect");
            Program.Equal(10, (int)refused.SocketErrorCode, "the error is the hook's value");
            Program.Equal(1, Program.HookCalls, "calls of the hook");
            Program.Throws<SocketException>(() => Program.Say(s, "MAIL FROM:<secret@client.test>"), "Send");
            s.Close();
            GC.KeepAlive(helper);
        }

        /// <summary>The library's own helper on a socket of Compat: Connect makes the handshake.</summary>
        public static void OwnHelper(string way, string server, string token)
        {
            Socket s = Program.NewSocket();
            using (new SslSock.SslHelper(s, "mail.test"))
            {
                Program.Connect(way, s, Program.Address(server));
            }
            StreamReader sr = new StreamReader(new NetworkStream(s), Encoding.ASCII);
            Expect(sr, "220");
            SendMail(s, sr, token);
            Program.Equal(Program.Address(server), s.RemoteEndPoint, "RemoteEndPoint");
            s.Close();
        }

        private static void SendMail(Socket s, StreamReader sr, string token)
        {
            Command(s, sr, "EHLO client.test", "250");
            Command(s, sr, "MAIL FROM:<a@client.test>", "250");
            Command(s, sr, "RCPT TO:<b@mail.test>", "250");
            Command(s, sr, "DATA", "354");
            Command(s, sr, "Subject: a token\r\n\r\n" + token + "\r\n.", "250");
            Command(s, sr, "QUIT", "221");
        }

        private static void Command(Socket s, StreamReader sr, string line, string expected)
        {
            Program.Say(s, line);
            Expect(sr, expected);
        }

        private static void Expect(StreamReader sr, string expected)
        {
            string line;
            do
            {
                line = sr.ReadLine();
                Program.Check(line != null && line.StartsWith(expected), expected + " comes, not \"" + line + "\"");
            }
            while (line[3] == '-');
        }

        /// <summary>Nothing of the original refers to its delegate: it must not be collected all the same.</summary>
        private static void Collect()
        {
            for (int i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }
    }
}
