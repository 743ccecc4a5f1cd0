// Where the name comes from that the certificate must be for. The peer says which name it was asked for.
using System;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using SslSock;
using Dns = SslSock.Compat.Dns;
using Socket = SslSock.Compat.Socket;

namespace SslTest
{
    public static class NameCases
    {
        private const int SET_FLAGS = unchecked((int)0x90730002);
        private const int SET_HOOK = unchecked((int)0x90730008);
        private const int SET_PEERNAME = 0x5073000F;
        private const int PERFORM_HANDSHAKE = 0x1073000D;

        /// <summary>Each way to connect to a name gives the name.</summary>
        public static void NamesByConnect(string tls)
        {
            int port = Program.Address(tls).Port;
            Action<Socket>[] ways =
            {
                s => s.Connect("localhost", port),
                s => s.Connect(new DnsEndPoint("localhost", port)),
                s => s.EndConnect(s.BeginConnect("localhost", port, null, null)),
                s => s.EndConnect(s.BeginConnect(new DnsEndPoint("localhost", port), null, null)),
                s => s.ConnectAsync("localhost", port).Wait(),
                s => s.ConnectAsync(new DnsEndPoint("localhost", port)).Wait(),
                s => s.ConnectAsync("localhost", port, CancellationToken.None).Wait(),
                s => Program.Connect("event", s, new DnsEndPoint("localhost", port)),
            };
            foreach (Action<Socket> connect in ways)
            {
                foreach (bool isDeferred in new[] { false, true })
                {
                    using (Socket s = Program.NewSecure())
                    {
                        if (isDeferred)
                            Defer(s);
                        connect(s);
                        if (isDeferred)
                            s.IOControl(PERFORM_HANDSHAKE, null, null);
                        Program.Equal("sni localhost", Program.ReadLine(s), "the name that the peer was asked for");
                    }
                }
            }
        }

        /// <summary>Also, of an address, when Connect comes back before the connection is there.</summary>
        public static void NamesWithoutBlocking(string tls)
        {
            int port = Program.Address(tls).Port;
            IPAddress address = V4(Dns.GetHostAddresses("localhost"));
            Action<Socket>[] ways =
            {
                s => s.Connect(address, port),
                s => s.Connect(new IPEndPoint(address, port)),
            };
            foreach (Action<Socket> connect in ways)
            {
                using (Socket s = Program.NewSecure())
                {
                    Defer(s);
                    s.Blocking = false;
                    try
                    {
                        connect(s);
                    }
                    catch (SocketException pending)
                    {
                        Program.Check(
                            pending.SocketErrorCode == SocketError.WouldBlock
                            || pending.SocketErrorCode == SocketError.InProgress, "it goes on: " + pending);
                    }
                    Program.Check(s.Poll(30000000, SelectMode.SelectWrite), "it is connected");
                    s.Blocking = true;
                    s.IOControl(PERFORM_HANDSHAKE, null, null);
                    Program.Equal("sni localhost", Program.ReadLine(s), "the name that the peer was asked for");
                }
            }
        }

        /// <summary>And so does what this thread, or this flow, has looked up.</summary>
        public static void LookedUp(string tls)
        {
            int port = Program.Address(tls).Port;
            ExpectNoName(port, "nothing has been looked up");
#pragma warning disable 618
            Func<IPAddress>[] ways =
            {
                () => V4(Dns.GetHostEntry("localhost").AddressList),
                () => V4(Dns.GetHostAddresses("localhost")),
                () => V4(Dns.GetHostByName("localhost").AddressList),
                () => V4(Dns.Resolve("localhost").AddressList),
                () => V4(Dns.EndGetHostEntry(Dns.BeginGetHostEntry("localhost", null, null)).AddressList),
                () => V4(Dns.EndGetHostAddresses(Dns.BeginGetHostAddresses("localhost", null, null))),
                () => V4(Dns.EndGetHostByName(Dns.BeginGetHostByName("localhost", null, null)).AddressList),
                () => V4(Dns.EndResolve(Dns.BeginResolve("localhost", null, null)).AddressList),
                () => V4(Dns.GetHostEntryAsync("localhost").Result.AddressList),
                () => V4(Dns.GetHostAddressesAsync("localhost").Result),
            };
#pragma warning restore 618
            foreach (Func<IPAddress> lookUp in ways)
            {
                // Each on a thread that has looked up nothing.
                OnThread(() =>
                {
                    IPAddress address = lookUp();
                    Expect("localhost", s => s.Connect(new IPEndPoint(address, port)));
                    Expect("localhost", s => s.Connect(address, port));
                    Expect("localhost", s => s.Connect(new[] { address }, port));
                    Expect("localhost", s => s.EndConnect(s.BeginConnect(address, port, null, null)));
                    Expect("localhost", s => s.ConnectAsync(new[] { address }, port).Wait());
                    Expect("localhost", s => Program.Connect("event", s, new IPEndPoint(address, port)));
                    Expect("localhost", s =>
                    {
                        Defer(s);
                        s.Connect(address, port);
                        s.IOControl(PERFORM_HANDSHAKE, null, null);
                    });
                });
                ExpectNoName(port, "another thread has looked it up");
            }
            AcrossAwait(port).Wait();
            OnThread(() => TheLatestCounts(port));
            OnThread(() => ForgottenInTime(port));
            OnThread(() => ForgottenInNumber(port));
        }

        private static async Task AcrossAwait(int port)
        {
            IPAddress address = V4(await Dns.GetHostAddressesAsync("localhost").ConfigureAwait(false));
            await Task.Run(() => OnThread(() => Expect("localhost", s => s.Connect(address, port)))).ConfigureAwait(false);
        }

        /// <summary>An address written out is a name too, and a look-up by address is none.</summary>
        private static void TheLatestCounts(int port)
        {
            Dns.GetHostEntry("localhost");
            Dns.GetHostAddresses("127.0.0.1");
            Expect("-", s => s.Connect(IPAddress.Loopback, port));
            Dns.GetHostAddresses("localhost");
            Dns.GetHostEntry(IPAddress.Loopback);
            Expect("localhost", s => s.Connect(IPAddress.Loopback, port));
            Dns.GetHostAddressesAsync("127.0.0.1").Wait();
            Expect("-", s => s.Connect(IPAddress.Loopback, port));
        }

        private static void ForgottenInTime(int port)
        {
            FieldInfo clock = Names.GetField("clock", BindingFlags.Static | BindingFlags.NonPublic);
            Func<long> real = (Func<long>)clock.GetValue(null);
            long lifetime = (long)Names.GetField("Lifetime", BindingFlags.Static | BindingFlags.NonPublic).GetValue(null);
            Program.Equal(600 * System.Diagnostics.Stopwatch.Frequency, lifetime, "ten minutes");
            long start = real();
            try
            {
                clock.SetValue(null, (Func<long>)(() => start));
                Dns.GetHostAddresses("localhost");
                clock.SetValue(null, (Func<long>)(() => start + lifetime));
                Expect("localhost", s => s.Connect(IPAddress.Loopback, port));
                clock.SetValue(null, (Func<long>)(() => start + lifetime + 1));
                ExpectNoName(port, "it is longer ago than ten minutes");
            }
            finally
            {
                clock.SetValue(null, real);
            }
        }

        private static void ForgottenInNumber(int port)
        {
            Dns.GetHostAddresses("localhost");
            LookUpOthers(0, 1000);
            Expect("localhost", s => s.Connect(IPAddress.Loopback, port));
            LookUpOthers(1000, 1100);
            ExpectNoName(port, "so many others have been looked up since");
        }

        private static void LookUpOthers(int from, int to)
        {
            for (int i = from; i < to; i++)
                Dns.GetHostAddresses("127.9." + i / 250 + "." + (1 + i % 250));
        }

        /// <summary>What comes first where several say something.</summary>
        public static void Precedence(string tls)
        {
            int port = Program.Address(tls).Port;
            OnThread(() =>
            {
                Dns.GetHostAddresses("localhost");
                Expect("localhost", s => s.Connect(IPAddress.Loopback, port));
                SslDefaults.PeerName = "mail.test";
                Expect("mail.test", s => s.Connect(IPAddress.Loopback, port));
                Expect("localhost", s => s.Connect("localhost", port));
                Expect("mail.test", s =>
                {
                    s.IOControl(SET_PEERNAME, Encoding.ASCII.GetBytes("mail.test\0"), null);
                    s.Connect("localhost", port);
                });
                Expect("localhost", s =>
                {
                    SslSocket.For(s).PeerName = "localhost";
                    s.Connect("127.0.0.1", port);
                });
                Expect("localhost", s =>
                {
                    s.IOControl(SET_PEERNAME, Encoding.ASCII.GetBytes("mail.test"), null);
                    // Taken back.
                    s.IOControl(SET_PEERNAME, new byte[1], null);
                    s.Connect("localhost", port);
                });
                foreach (string given in new[] { "mail.test", "mail.test\0" })
                {
                    Expect("mail.test", s => Deferred(s, port, "localhost", Encoding.ASCII.GetBytes(given)));
                    IntPtr pointer = Marshal.StringToHGlobalAnsi("mail.test");
                    Expect("mail.test", s => Deferred(s, port, "localhost", BitConverter.GetBytes(pointer.ToInt64())));
                }
                // What is no name is as good as none.
                Expect("localhost", s => Deferred(s, port, "localhost", new byte[] { 0x9c, 0 }));
                Expect("localhost", s => Deferred(s, port, "localhost", new byte[8]));
            });
        }

        private static void Deferred(Socket s, int port, string host, byte[] handshake)
        {
            Defer(s);
            s.Connect(host, port);
            s.IOControl(PERFORM_HANDSHAKE, handshake, null);
        }

        /// <summary>Without any name it is the hook that decides, and without a hook nobody.</summary>
        public static void Nameless(string tls)
        {
            int port = Program.Address(tls).Port;
            ExpectNoName(port, "there is no name");
            foreach (int answer in new[] { 0, 10 })
            {
                uint flags = 0;
                SslSock.SslHelper.SSLVALIDATECERTFUNC hook = (type, argument, length, chain, given) =>
                {
                    flags = given;
                    return answer;
                };
                using (Socket s = Program.NewSecure())
                {
                    byte[] buffer = new byte[2 * IntPtr.Size];
                    BitConverter.GetBytes(Marshal.GetFunctionPointerForDelegate(hook).ToInt64()).CopyTo(buffer, 0);
                    s.IOControl(SET_HOOK, buffer, null);
                    if (answer == 0)
                    {
                        s.Connect(IPAddress.Loopback, port);
                        Program.Equal("sni -", Program.ReadLine(s), "the peer was asked for no name");
                    }
                    else
                    {
                        Program.Fails(SslError.CertUnknown, () => s.Connect(IPAddress.Loopback, port), "Connect");
                    }
                    Program.Equal(1u, flags, "ISSUER_UNKNOWN");
                }
            }
        }

        /// <summary>What is no name at all leaves no connection in clear behind.</summary>
        public static void Unusable(string plain)
        {
            using (Socket s = Program.NewSecure())
            {
                Program.Fails(SslError.Invalid, () => s.IOControl(SET_PEERNAME, Encoding.ASCII.GetBytes("no name"), null),
                    "SET_PEERNAME");
            }
            OnThread(() =>
            {
                Type of = Names;
                of.GetMethod("Remember", BindingFlags.Static | BindingFlags.NonPublic, null,
                    new[] { typeof(string), typeof(System.Collections.Generic.IEnumerable<IPAddress>) }, null)
                    .Invoke(null, new object[] { "no name", new[] { Program.Address(plain).Address } });
                using (Socket s = Program.NewSecure())
                {
                    Program.Fails(SslError.Invalid, () => s.Connect(Program.Address(plain)), "Connect");
                    Program.Throws<SocketException>(() => Program.Say(s, "secret"), "Send");
                }
            });
        }

        /// <summary>A handshake that cannot be begun ends the connection.</summary>
        public static void CannotBegin(string plain)
        {
            using (Socket s = Program.NewSecure())
            {
                Defer(s);
                s.Connect(Program.Address(plain));
                SslSocket.For(s).Dispose();
                Program.Throws<ObjectDisposedException>(() => s.IOControl(PERFORM_HANDSHAKE, null, null), "disposed");
                Program.Throws<SocketException>(() => Program.Say(s, "secret"), "Send");
            }
            SslDefaults.PeerName = "mail.test";
            SslDefaults.Flags = SslFlags.ExplicitIo;
            using (Socket s = Program.NewSecure())
            {
                Program.Throws<InvalidOperationException>(() => s.Connect(Program.Address(plain)), "explicit mode");
                Program.Throws<SocketException>(() => Program.Say(s, "secret"), "Send");
            }
        }

        private static Type Names => typeof(Socket).Assembly.GetType("SslSock.Compat.LookedUpNames", true);

        private static IPAddress V4(IPAddress[] addresses)
        {
            return Array.Find(addresses, one => one.AddressFamily == AddressFamily.InterNetwork);
        }

        private static void Defer(Socket s)
        {
            s.IOControl(SET_FLAGS, BitConverter.GetBytes(8), null);
        }

        private static void Expect(string name, Action<Socket> connect)
        {
            using (Socket s = Program.NewSecure())
            {
                connect(s);
                Program.Equal("sni " + name, Program.ReadLine(s), "the name that the peer was asked for");
            }
        }

        private static void ExpectNoName(int port, string why)
        {
            using (Socket s = Program.NewSecure())
            {
                Program.Fails(SslError.NoName, () => s.Connect(IPAddress.Loopback, port), why);
                Program.Throws<SocketException>(() => Program.Say(s, "secret"), "Send");
            }
        }

        private static void OnThread(Action work)
        {
            Exception thrown = null;
            Thread thread = new Thread(() =>
            {
                try
                {
                    work();
                }
                catch (Exception problem)
                {
                    thrown = problem;
                }
            });
            thread.Start();
            thread.Join();
            if (thrown != null)
                throw new Exception("on another thread", thrown);
        }
    }
}
