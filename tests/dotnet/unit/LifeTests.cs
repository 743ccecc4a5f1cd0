using System;
using System.Collections;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading;
using SslSock;

/// <summary>Who owns what, and for how long.</summary>
static class LifeTests
{
    internal static void Register(Tests tests)
    {
        tests.Add("socket, stream and reader go on", SocketStreamAndReaderGoOn);
        tests.Add("a helper that does not defer makes the handshake at once", AtOnce);
        tests.Add("a helper disposed before the handshake still makes it", DisposedBeforeHandshake);
        tests.Add("disposing a helper ends nothing", DisposingEndsNothing);
        tests.Add("the static DoHandshake finds the helper's settings", StaticDoHandshake);
        tests.Add("two helpers on one socket have one handle", TwoHelpers);
        tests.Add("a second helper with another name, before the handshake", SecondName);
        tests.Add("a second helper with another name, after the handshake", SecondNameTooLate);
        tests.Add("a helper on a socket that is not connected leaves it alone", UnconnectedIsLeftAlone);
        tests.Add("the handle is disposed, the socket goes on", HandleDisposed);
        tests.Add("the socket is closed, the handle says so", SocketClosed);
        tests.Add("handles of a descriptor", HandlesOfADescriptor);
        tests.Add("a handle whose owner waits to be finalized has a new one", NewOwner);
        tests.Add("what is forgotten is freed", ForgottenIsFreed);
        tests.Add("a socket with a hook that knows it is freed", () => Freed(FreedWithHook));
        tests.Add("a socket with a signer and a hook for certificates that know it is freed", () => Freed(FreedWithCallbacks));
        tests.Add("a copy of a private key is overwritten when nobody needs it", KeyIsOverwritten);
        tests.Add("a reader that holds characters", ReaderHoldsCharacters);
        tests.Add("a reader that holds half a character", ReaderHoldsHalfACharacter);
        tests.Add("a buffered stream that holds bytes", BufferedStreamHoldsBytes);
        tests.Add("readers that cannot be looked into", OpaqueReaders);
    }

    private static void ExpectEcho(Socket socket)
    {
        Peers.Send(socket, "echo\n");
        Peers.Exchange(socket, "it works");
    }

    private static void SocketStreamAndReaderGoOn()
    {
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            var stream = new NetworkStream(socket);
            var reader = new StreamReader(stream, Encoding.ASCII);
            Peers.Send(socket, "STARTTLS " + Peers.NewTicket() + "\n");
            Expect.Equal("220 go ahead", reader.ReadLine());
            Peers.Helper(socket).DoHandshake(reader);
            Peers.Send(socket, "echo\none\n");
            Expect.Equal("one", reader.ReadLine());
            byte[] two = Encoding.ASCII.GetBytes("two\n");
            stream.WriteAsync(two, 0, two.Length).Wait();
            Expect.Equal("two", reader.ReadLineAsync().Result);
            Expect.Equal(true, socket.Connected, "connected");
        }
    }

    private static void AtOnce()
    {
        SslDefaults.AddTrustFile(Peers.Pki("ca.pem"));
        using (Socket socket = Peers.AfterStartTls())
        {
            using (var helper = new SslHelper(socket, Peers.Name))
            {
                Expect.Equal(SslVerdict.Trusted, helper.SslSocket.VerifyReport.Verdict);
            }
            ExpectEcho(socket);
        }
    }

    private static void DisposedBeforeHandshake()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper helper;
            using (helper = Peers.Helper(socket))
            {
            }
            helper.Dispose();
            helper.DoHandshake();
            ExpectEcho(socket);
        }
    }

    private static void DisposingEndsNothing()
    {
        SslHelper helper;
        using (Socket socket = Peers.Echo(out helper))
        {
            helper.Dispose();
            helper.Dispose();
            Peers.Exchange(socket, "it works");
            Expect.Equal(SslVerdict.Trusted, helper.SslSocket.VerifyReport.Verdict);
        }
    }

    private static void StaticDoHandshake()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            Forget(socket);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            SslHelper.DoHandshake(socket);
            ExpectEcho(socket);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(Socket socket)
    {
        Peers.Helper(socket);
    }

    private static void TwoHelpers()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper first = Peers.Helper(socket);
            var second = new SslHelper(socket, Peers.Name, true);
            Expect.True(ReferenceEquals(first.SslSocket, second.SslSocket), "they have the same handle");
            second.DoHandshake();
            Expect.True(first.SslSocket.IsSecure, "the first one's is secure");
            ExpectEcho(socket);
            Expect.True(ReferenceEquals(first.SslSocket, new SslHelper(socket, Peers.Name, true).SslSocket), "so has a third");
        }
    }

    private static void SecondName()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper first = new SslHelper(socket, "other.test", true);
            Peers.Helper(socket);
            first.DoHandshake();
            Expect.Equal(Peers.Name, first.SslSocket.GetVerifyText(SslVerifyText.Expected));
            ExpectEcho(socket);
        }
    }

    private static void SecondNameTooLate()
    {
        SslHelper helper;
        using (Socket socket = Peers.Echo(out helper))
        {
            var error = Expect.Throws<InvalidOperationException>(() => new SslHelper(socket, "other.test", true));
            Expect.Contains(Peers.Name, error.Message);
            GC.KeepAlive(new SslHelper(socket, Peers.Name.ToUpperInvariant(), true));
            Peers.Exchange(socket, "it works");
        }
    }

    private static void UnconnectedIsLeftAlone()
    {
        // The runtime refuses to connect to a name with several addresses once the descriptor has been asked for.
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            SslDefaults.AddTrustFile(Peers.Pki("ca.pem"));
            var helper = new SslHelper(socket, Peers.Name, true);
            int port = ((IPEndPoint)Peers.Address("SSLSOCK_PEER")).Port;
            socket.Connect(new[] { IPAddress.Parse("127.0.0.3"), IPAddress.Parse("127.0.0.2") }, port);
            helper.DoHandshake();
            ExpectEcho(socket);
        }
    }

    private static void HandleDisposed()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper helper = Peers.Helper(socket);
            SslSocket before = helper.SslSocket;
            before.Dispose();
            before.Dispose();
            Expect.Throws<ObjectDisposedException>(() => before.Flags = SslFlags.None);
            // Nothing has happened yet: there is a new one.
            helper.SslSocket.AddTrustFile(Peers.Pki("ca.pem"));
            helper.DoHandshake();
            SslSocket handle = helper.SslSocket;
            handle.Dispose();
            Expect.True(ReferenceEquals(handle, SslSocket.For(socket)), "no handle for TLS within TLS by accident");
            Expect.Throws<ObjectDisposedException>(() => GC.KeepAlive(handle.SessionInfo));
            ExpectEcho(socket);
        }
    }

    private static void SocketClosed()
    {
        Socket socket = Peers.AfterStartTls();
        SslHelper helper = Peers.Helper(socket);
        SslSocket handle = helper.SslSocket;
        socket.Close();
        using (Socket other = Peers.AfterStartTls())
        {
            Expect.Throws<ObjectDisposedException>(helper.DoHandshake);
            // The other one may have its number by now: the handle looks what it is.
            Peers.ExpectCode(SslError.State, () => handle.PerformHandshake());
            Peers.Helper(other).DoHandshake();
            ExpectEcho(other);
        }
        handle.Dispose();
        Expect.Throws<InvalidOperationException>(() => new SslHelper(socket, Peers.Name));
    }

    private static void HandlesOfADescriptor()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            int descriptor = (int)socket.Handle;
            SslSocket made = SslSocket.FromDescriptor(descriptor);
            Expect.True(ReferenceEquals(made, SslSocket.FromDescriptor(descriptor)), "it finds it again");
            Expect.True(ReferenceEquals(made, SslSocket.For(socket)), "so does the socket");
            made.AddTrustFile(Peers.Pki("ca.pem"));
            made.PerformHandshakeAsync(Peers.Name).Wait();
            Expect.Equal(Peers.Address("SSLSOCK_PEER"), made.RemoteEndPoint, "address");
            ExpectEcho(socket);
        }
        EndPoint endPoint = Peers.Address("SSLSOCK_PEER");
        using (Socket socket = Peers.NewSocket(endPoint))
        {
            SslSocket handle = SslSocket.FromDescriptor((int)socket.Handle);
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.PeerName = Peers.Name;
            handle.Flags = SslFlags.ExplicitIo;
            handle.Connect(endPoint);
            Expect.True(handle.IsSecure, "connected and secure");
        }
    }

    private static void NewOwner()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            int descriptor = (int)socket.Handle;
            var thread = new Thread(() =>
            {
                GC.KeepAlive(new FinalizerBlocker());
                SslSocket.FromDescriptor(descriptor).SetValidateCertHook((type, argument, length, chain, flags) => 2);
            });
            thread.Start();
            thread.Join();
            GC.Collect();
            // The collector has found the owner to be no more, and its finalizer has to wait.
            Expect.True(FinalizerBlocker.Began.WaitOne(30000), "the finalizers have begun");
            SslSocket handle = SslSocket.FromDescriptor(descriptor);
            FinalizerBlocker.MayEnd.Set();
            Collect();
            handle.AddTrustFile(Peers.Pki("ca.pem"));
            handle.PerformHandshake(Peers.Name);
            ExpectEcho(socket);
        }
    }

    /// <summary>Finalizers of handles come after the others.</summary>
    private sealed class FinalizerBlocker
    {
        internal static readonly ManualResetEvent Began = new ManualResetEvent(false);
        internal static readonly ManualResetEvent MayEnd = new ManualResetEvent(false);

        ~FinalizerBlocker()
        {
            Began.Set();
            MayEnd.WaitOne(30000);
        }
    }

    private static void ForgottenIsFreed()
    {
        Freed(FreedByCollector);
    }

    private static void Freed(Action<int> forget)
    {
        const int Count = 100;
        Collect();
        int before = LiveHandles;
        forget(Count);
        Collect();
        // A conservative collector may miss the last ones.
        int left = LiveHandles - before;
        Expect.True(left <= Count / 10, left + " of " + Count + " handles are left");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreedByCollector(int count)
    {
        int before = LiveHandles;
        for (int i = 0; i < count; i++)
        {
            SslHelper helper = Peers.Helper(Peers.Connect("SSLSOCK_PEER"));
            Expect.True(!helper.SslSocket.IsInvalid, "there is a handle");
        }
        Expect.True(LiveHandles > before, "handles are counted");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreedWithHook(int count)
    {
        for (int i = 0; i < count; i++)
        {
            HookedHelper helper = null;
            helper = new HookedHelper(Peers.Connect("SSLSOCK_PEER"), Peers.Name, it => helper == it ? 0 : 2);
            Expect.True(!helper.SslSocket.IsInvalid, "there is a handle");
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreedWithCallbacks(int count)
    {
        byte[] chain = File.ReadAllBytes(Peers.Pki("client-chain.pem"));
        for (int i = 0; i < count; i++)
        {
            SslHelper helper = Peers.Helper(Peers.Connect("SSLSOCK_PEER"));
            helper.SslSocket.SetIdentitySigner(chain, (scheme, message) => new byte[helper.SslSocket.IsSecure ? 1 : 0]);
            helper.SslSocket.SetAuthRequestHook((socket, issuers) => socket == helper.SslSocket ? ClientCertificate.None : null);
        }
    }

    private static void KeyIsOverwritten()
    {
        byte[] copy = null;
        // On a thread of its own, whose stack cannot hold anything afterwards.
        var thread = new Thread(() => copy = CopyOfKey());
        thread.Start();
        thread.Join();
        for (int i = 0; i < 20 && copy[0] != 0; i++)
        {
            Collect();
        }
        Expect.Bytes(new byte[3], copy, "the copy");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte[] CopyOfKey()
    {
        const BindingFlags Hidden = BindingFlags.Static | BindingFlags.Instance | BindingFlags.NonPublic;
        Type type = typeof(SslSocket).Assembly.GetType("SslSock.Secret");
        byte[] key = { 1, 2, 3 };
        object secret = type.GetMethod("Of", Hidden).Invoke(null, new object[] { key, "key" });
        var copy = (byte[])type.GetProperty("Bytes", Hidden).GetValue(secret);
        Expect.Bytes(key, copy, "the copy");
        Expect.True(!ReferenceEquals(key, copy), "it is one");
        GC.KeepAlive(secret);
        return copy;
    }

    private static void Collect()
    {
        for (int i = 0; i < 5; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private static int LiveHandles
    {
        get
        {
            FieldInfo field = typeof(SslSocket).GetField("Live", BindingFlags.Static | BindingFlags.NonPublic);
            return ((ICollection)field.GetValue(null)).Count;
        }
    }

    private static void ReaderHoldsCharacters()
    {
        using (Socket socket = Peers.Recorded("inject"))
        {
            var reader = new StreamReader(new NetworkStream(socket), Encoding.ASCII);
            // The line that came along is in the reader, where the library cannot see it.
            Expect.Equal((int)'2', reader.Read(), "first character");
            var error = Expect.Throws<InvalidOperationException>(() => Peers.Helper(socket).DoHandshake(reader));
            Expect.Contains("13 characters", error.Message);
        }
        using (Socket socket = Peers.Connect("SSLSOCK_PEER"))
        {
            var reader = new StreamReader(new NetworkStream(socket));
            Peers.Send(socket, "STARTTLS " + Peers.NewTicket() + "\n");
            Expect.Equal((int)'2', reader.Read(), "first character");
            SslHelper helper = Peers.Helper(socket);
            Expect.Throws<InvalidOperationException>(() => helper.DoHandshake(reader));
            // It was refused and nothing more: having read the rest one may go on.
            Expect.Equal("20 go ahead", reader.ReadLine());
            helper.DoHandshake(reader);
            ExpectEcho(socket);
        }
    }

    private static void ReaderHoldsHalfACharacter()
    {
        foreach (Encoding encoding in new Encoding[] { new UTF8Encoding(true), new UTF8Encoding(false, true) })
        {
            Socket near, far;
            Peers.Pair(out near, out far);
            using (near)
            using (far)
            {
                var reader = new StreamReader(new NetworkStream(near), encoding);
                far.Send(new byte[] { (byte)'2', (byte)'\n', 0xC3 });
                Expect.Equal("2", reader.ReadLine());
                var error = Expect.Throws<InvalidOperationException>(() => Peers.Helper(near).DoHandshake(reader));
                Expect.Contains("the beginning of a character", error.Message);
            }
        }
    }

    private static void BufferedStreamHoldsBytes()
    {
        Socket near, far;
        Peers.Pair(out near, out far);
        using (near)
        using (far)
        {
            var reader = new StreamReader(new BufferedStream(new NetworkStream(near), 4096), Encoding.ASCII, false, 128);
            far.Send(Encoding.ASCII.GetBytes(new string('x', 127) + "\n" + "more\n"));
            // Until it is all there.
            Expect.True(near.Poll(10000000, SelectMode.SelectRead), "it comes");
            Expect.Equal(new string('x', 127), reader.ReadLine());
            var error = Expect.Throws<InvalidOperationException>(() => Peers.Helper(near).DoHandshake(reader));
            Expect.Contains("5 bytes", error.Message);
        }
    }

    private static void OpaqueReaders()
    {
        using (Socket socket = Peers.AfterStartTls())
        {
            SslHelper helper = Peers.Helper(socket);
            Expect.Throws<NotSupportedException>(() => helper.DoHandshake(new StringReader("")));
            Expect.Throws<NotSupportedException>(() => helper.DoHandshake(new StreamReader(new MemoryStream())));
            Expect.Throws<ArgumentNullException>(() => helper.DoHandshake((TextReader)null));
            Expect.Throws<ArgumentNullException>(() => helper.DoHandshake((TextReader[])null));
            var closed = new StreamReader(new NetworkStream(socket));
            closed.Close();
            Expect.Contains(
                "has been closed", Expect.Throws<InvalidOperationException>(() => helper.DoHandshake(closed)).Message);
            helper.DoHandshake(new StreamReader(new NetworkStream(socket)), new StreamReader(new NetworkStream(socket)));
            ExpectEcho(socket);
        }
    }
}
