// SO_SECURE and the control codes.
using System;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using SslSock;
using Socket = SslSock.Compat.Socket;

namespace SslTest
{
    public static class OptionCases
    {
        private const int SET_FLAGS = unchecked((int)0x90730002);
        private const int GET_FLAGS = 0x50730002;
        private const int SET_HOOK = unchecked((int)0x90730008);
        private const int GET_HOOK = 0x50730008;
        private const int SET_AUTH_REQUEST_HOOK = unchecked((int)0x90730009);
        private const int SET_SIGNATURE_HOOK = unchecked((int)0x9073000B);
        private const int PERFORM_HANDSHAKE = 0x1073000D;

        /// <summary>Every overload of SetSocketOption takes SO_SECURE, and GetSocketOption answers what was set.</summary>
        public static void EveryOverload(string unused)
        {
            Action<Socket>[] setters =
            {
                s => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_SSL),
                s => s.SetSocketOption((SocketOptionLevel)0xFFFF, Program.SO_SECURE, (ushort)Program.SO_SEC_SSL),
                s => s.SetSocketOption(
                    SocketOptionLevel.Socket, Program.SO_SECURE, BitConverter.GetBytes(Program.SO_SEC_SSL)),
                s => s.SetSocketOption(
                    SocketOptionLevel.Socket, Program.SO_SECURE, BitConverter.GetBytes((ushort)Program.SO_SEC_SSL)),
                s => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, (object)Program.SO_SEC_SSL),
                s => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, (object)(uint)Program.SO_SEC_SSL),
                s => s.SetSocketOption(
                    SocketOptionLevel.Socket, Program.SO_SECURE, (object)BitConverter.GetBytes(Program.SO_SEC_SSL)),
            };
            foreach (Action<Socket> set in setters)
            {
                using (Socket s = Program.NewSocket())
                {
                    ExpectOption(s, Program.SO_SEC_NONE);
                    set(s);
                    ExpectOption(s, Program.SO_SEC_SSL);
                    // A second time changes nothing.
                    set(s);
                    s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_NONE);
                    ExpectOption(s, Program.SO_SEC_NONE);
                    s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_NONE);
                }
            }
            using (Socket s = Program.NewSocket())
            {
                Program.Throws<SocketException>(
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, true), "a truth value");
                Program.Throws<SocketException>(
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, 0), "another number");
                Program.Throws<SocketException>(
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, new byte[3]), "three bytes");
                Program.Throws<ArgumentException>(
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, new object()), "an object");
                ExpectOption(s, Program.SO_SEC_NONE);
                // The others are the system's.
                s.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, true);
                s.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, 1);
                s.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Linger, new LingerOption(true, 2));
                Program.Check(s.NoDelay, "NoDelay");
                Program.Check(
                    (int)s.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive) != 0, "KeepAlive");
                Program.Equal(2, s.LingerState.LingerTime, "Linger");
            }
        }

        private static void ExpectOption(Socket s, int expected)
        {
            Program.Equal(expected, s.GetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE), "as an object");
            Program.Equal(
                expected,
                BitConverter.ToInt32(s.GetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, 4), 0), "as bytes");
            byte[] bytes = new byte[4];
            s.GetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, bytes);
            Program.Equal(expected, BitConverter.ToInt32(bytes, 0), "into bytes");
        }

        /// <summary>SO_SECURE after Connect is refused, with what to do; so is SO_SEC_NONE.</summary>
        public static void Connected(string plain, string tls)
        {
            using (Socket s = Program.NewSocket())
            {
                s.Connect(Program.Address(plain));
                SslSocketException late = Program.Fails(
                    SslError.State,
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_SSL), "SO_SECURE");
                Program.Check(late.Message.Contains("DoHandshake"), "it says what to do: " + late.Message);
                Program.Say(s, "still in clear");
            }
            SslDefaults.PeerName = "mail.test";
            using (Socket s = Program.NewSecure())
            {
                s.Connect(Program.Address(tls));
                Program.Fails(
                    SslError.State,
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_NONE), "SO_SEC_NONE");
                Program.Equal(Program.SO_SEC_SSL, s.GetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE), "option");
                Program.Equal("sni mail.test", Program.ReadLine(s), "it goes on");
            }
        }

        /// <summary>After SO_SEC_NONE it is an ordinary socket.</summary>
        public static void Undone(string plain)
        {
            using (Socket s = Program.NewSecure())
            {
                s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_NONE);
                s.Connect(Program.Address(plain));
                Program.Say(s, "in clear, as asked");
            }
        }

        public static void ControlCodes(string unused)
        {
            using (Socket plain = Program.NewSocket())
            {
                SslSocketException early = Program.Fails(
                    SslError.State, () => plain.IOControl(GET_FLAGS, null, new byte[4]), "a code before SO_SECURE");
                Program.Check(early.Message.Contains("SO_SECURE"), "it says what to do: " + early.Message);
            }
            using (Socket s = Program.NewSecure())
            {
                byte[] flags = new byte[4];
                Program.Equal(4, s.IOControl(GET_FLAGS, null, flags), "length of the flags");
                Program.Equal(0, BitConverter.ToInt32(flags, 0), "flags");
                Program.Equal(0, s.IOControl(SET_FLAGS, BitConverter.GetBytes(8), null), "length");
                Program.Equal(4, s.IOControl((IOControlCode)GET_FLAGS, null, flags), "length by the other overload");
                Program.Equal(8, BitConverter.ToInt32(flags, 0), "flags");
                // With the code as an unsigned number, and a scratch buffer for what answers nothing.
                s.IOControl((IOControlCode)0x90730002L, BitConverter.GetBytes(0), new byte[16]);

                byte[] hook = new byte[2 * IntPtr.Size];
                s.IOControl(GET_HOOK, null, hook);
                Program.Equal(0L, BitConverter.ToInt64(hook, 0), "no hook");
                SslSock.SslHelper.SSLVALIDATECERTFUNC function = Refuse;
                byte[] set = new byte[2 * IntPtr.Size];
                BitConverter.GetBytes(Marshal.GetFunctionPointerForDelegate(function).ToInt64()).CopyTo(set, 0);
                BitConverter.GetBytes(0x1234L).CopyTo(set, IntPtr.Size);
                s.IOControl(SET_HOOK, set, null);
                Program.Equal(2 * IntPtr.Size, s.IOControl(GET_HOOK, null, hook), "length of the hook");
                Program.Equal(BitConverter.ToString(set), BitConverter.ToString(hook), "the hook as it was given");
                Program.Fails(SslError.Invalid, () => s.IOControl(SET_HOOK, new byte[8], null), "a hook of eight bytes");
                Program.Fails(SslError.Invalid, () => s.IOControl(0x107300EE, null, null), "an unknown code");
                GC.KeepAlive(function);
            }
            // The others are the system's, whatever it says to them.
            const int FIONREAD = 0x4004667F;
            using (System.Net.Sockets.Socket ordinary = new System.Net.Sockets.Socket(
                AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            using (Socket s = Program.NewSecure())
            {
                // Not held, that is.
                s.IOControl(SET_FLAGS, BitConverter.GetBytes(8), null);
                Program.Equal(Outcome(() => ordinary.IOControl(FIONREAD, null, new byte[4])),
                    Outcome(() => s.IOControl(FIONREAD, null, new byte[4])), "FIONREAD");
                Program.Equal(Outcome(() => ordinary.IOControl(IOControlCode.KeepAliveValues, new byte[12], null)),
                    Outcome(() => s.IOControl(IOControlCode.KeepAliveValues, new byte[12], null)), "KeepAliveValues");
            }
        }

        private static int Refuse(uint type, IntPtr argument, uint length, IntPtr chain, uint flags)
        {
            return 2;
        }

        private static string Outcome(Func<int> call)
        {
            try
            {
                return call().ToString();
            }
            catch (Exception thrown)
            {
                return thrown.GetType().Name;
            }
        }

        private delegate int HookWithText(uint type, string host, uint length, IntPtr chain, uint flags);
        private delegate int HookWithSigns(int type, IntPtr argument, int length, IntPtr chain, int flags);

        /// <summary>A hook whose arguments the runtime has to convert; and one that throws.</summary>
        public static void Hooks(string tls)
        {
            string seen = null;
            HookWithText function = (type, host, length, chain, flags) => { seen = host; return 0; };
            IntPtr text = Marshal.StringToHGlobalAnsi("mail.test");
            using (Socket s = Program.NewSecure())
            {
                SetHook(s, function, text);
                s.Connect(Program.Address(tls));
                Program.Equal("mail.test", seen, "what the hook was given");
            }
            ThrowingHook(tls, (SslSock.SslHelper.SSLVALIDATECERTFUNC)((type, argument, length, chain, flags) =>
            {
                throw new InvalidTimeZoneException("no reason");
            }));
            // Of another type: what is thrown must not unwind the library either.
            ThrowingHook(tls, (HookWithText)((type, host, length, chain, flags) =>
            {
                throw new InvalidTimeZoneException(host);
            }));
            ThrowingHook(tls, (HookWithSigns)((type, argument, length, chain, flags) =>
            {
                throw new InvalidTimeZoneException("no reason");
            }));
            GC.KeepAlive(function);
        }

        private delegate int SignatureHook(
            uint type, IntPtr argument, IntPtr source, uint length, uint flags, IntPtr signature, ref uint signatureLength);

        /// <summary>The delegates whose pointers a program has handed over live as long as the socket.</summary>
        public static void HooksAreKept(string unused)
        {
            foreach (int code in new[] { SET_HOOK, SET_AUTH_REQUEST_HOOK, SET_SIGNATURE_HOOK })
            {
                using (Socket s = Program.NewSecure())
                {
                    WeakReference hook = null;
                    // On a thread of its own, whose stack cannot hold it.
                    var thread = new System.Threading.Thread(() => hook = SetForgotten(s, code));
                    thread.Start();
                    thread.Join();
                    for (int i = 0; i < 5; i++)
                    {
                        GC.Collect();
                        GC.WaitForPendingFinalizers();
                    }
                    Program.Check(hook.IsAlive, code.ToString("X") + " keeps its delegate");
                    Program.Throws<SocketException>(() => s.IOControl(code, new byte[3], null), "half a pointer");
                    s.IOControl(code, new byte[2 * IntPtr.Size], null);
                }
            }
        }

        private static WeakReference SetForgotten(Socket s, int code)
        {
            object known = new object();
            SignatureHook hook = (uint a, IntPtr b, IntPtr c, uint d, uint e, IntPtr f, ref uint g) => known.GetHashCode();
            s.IOControl(code, PointerAndArgument(hook, IntPtr.Zero), null);
            return new WeakReference(known);
        }

        private static void ThrowingHook(string tls, Delegate throws)
        {
            using (Socket s = Program.NewSecure())
            {
                SetHook(s, throws, IntPtr.Zero);
                SslSocketException failure = Program.Throws<SslSocketException>(
                    () => s.Connect(Program.Address(tls)), "a hook that throws");
                Program.Check(failure.HookException is InvalidTimeZoneException, "what it threw comes out");
                Program.Throws<SocketException>(() => Program.Say(s, "secret"), "Send");
            }
        }

        private static void SetHook(Socket s, Delegate function, IntPtr argument)
        {
            s.IOControl(SET_HOOK, PointerAndArgument(function, argument), null);
        }

        private static byte[] PointerAndArgument(Delegate function, IntPtr argument)
        {
            byte[] buffer = new byte[2 * IntPtr.Size];
            BitConverter.GetBytes(Marshal.GetFunctionPointerForDelegate(function).ToInt64()).CopyTo(buffer, 0);
            BitConverter.GetBytes(argument.ToInt64()).CopyTo(buffer, IntPtr.Size);
            return buffer;
        }
    }
}
