using System;
using System.Net;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock.Compat
{
    /// <summary>
    /// <see cref="System.Net.Dns"/>, which remembers what the calling thread looks up, so that a
    /// <see cref="Socket"/> that is connected to an address knows which name is meant:
    /// <c>using Dns = SslSock.Compat.Dns;</c>.
    /// </summary>
    /// <remarks>
    /// <para>Every member does what the one of the same name in System.Net.Dns does, throws the same exceptions and
    /// may be called from any thread.</para>
    /// <para>A look-up counts for ten minutes and for the thread that made it; each thread remembers 1,024 addresses.
    /// The synchronous methods and the End methods count for the thread that calls them, those that answer a task for
    /// the flow of control that called them, also after an await. If several names gave an address the latest counts,
    /// and no other. Look-ups by address are not remembered: who controls the address chooses the name that they
    /// answer.</para>
    /// </remarks>
    public static class Dns
    {
        /// <summary>As <see cref="System.Net.Dns.GetHostName"/>.</summary>
        public static string GetHostName()
        {
            return System.Net.Dns.GetHostName();
        }

        /// <summary>Looks up a name or an address written out; remembers it.</summary>
        public static IPHostEntry GetHostEntry(string hostNameOrAddress)
        {
            return Remember(hostNameOrAddress, System.Net.Dns.GetHostEntry(hostNameOrAddress));
        }

        /// <summary>Looks up the name of an address.</summary>
        public static IPHostEntry GetHostEntry(IPAddress address)
        {
            return System.Net.Dns.GetHostEntry(address);
        }

        /// <summary>Looks up the addresses of a name; remembers it.</summary>
        public static IPAddress[] GetHostAddresses(string hostNameOrAddress)
        {
            IPAddress[] addresses = System.Net.Dns.GetHostAddresses(hostNameOrAddress);
            LookedUpNames.Remember(hostNameOrAddress, addresses);
            return addresses;
        }

        /// <summary>Looks up a name or an address written out; remembers it.</summary>
        public static Task<IPHostEntry> GetHostEntryAsync(string hostNameOrAddress)
        {
            Task<IPHostEntry> lookUp = System.Net.Dns.GetHostEntryAsync(hostNameOrAddress);
            LookedUpNames.Remember(hostNameOrAddress, AddressesOf(lookUp));
            return lookUp;
        }

        /// <summary>Looks up the name of an address.</summary>
        public static Task<IPHostEntry> GetHostEntryAsync(IPAddress address)
        {
            return System.Net.Dns.GetHostEntryAsync(address);
        }

        /// <summary>Looks up the addresses of a name; remembers it.</summary>
        public static Task<IPAddress[]> GetHostAddressesAsync(string hostNameOrAddress)
        {
            Task<IPAddress[]> lookUp = System.Net.Dns.GetHostAddressesAsync(hostNameOrAddress);
            LookedUpNames.Remember(hostNameOrAddress, lookUp);
            return lookUp;
        }

        /// <summary>Begins <see cref="GetHostEntry(string)"/>.</summary>
        public static IAsyncResult BeginGetHostEntry(
            string hostNameOrAddress, AsyncCallback requestCallback, object stateObject)
        {
            return new NamedResult(hostNameOrAddress, requestCallback, stateObject).Begin(
                callback => System.Net.Dns.BeginGetHostEntry(hostNameOrAddress, callback, stateObject));
        }

        /// <summary>Begins <see cref="GetHostEntry(IPAddress)"/>.</summary>
        public static IAsyncResult BeginGetHostEntry(
            IPAddress address, AsyncCallback requestCallback, object stateObject)
        {
            return new NamedResult(null, requestCallback, stateObject).Begin(
                callback => System.Net.Dns.BeginGetHostEntry(address, callback, stateObject));
        }

        /// <summary>Ends a look-up that <c>BeginGetHostEntry</c> began; remembers it.</summary>
        public static IPHostEntry EndGetHostEntry(IAsyncResult asyncResult)
        {
            NamedResult named = NamedResult.From(asyncResult);
            return Remember(named.Name, System.Net.Dns.EndGetHostEntry(named.Inner));
        }

        /// <summary>Begins <see cref="GetHostAddresses"/>.</summary>
        public static IAsyncResult BeginGetHostAddresses(
            string hostNameOrAddress, AsyncCallback requestCallback, object state)
        {
            return new NamedResult(hostNameOrAddress, requestCallback, state).Begin(
                callback => System.Net.Dns.BeginGetHostAddresses(hostNameOrAddress, callback, state));
        }

        /// <summary>Ends a look-up that <see cref="BeginGetHostAddresses"/> began; remembers it.</summary>
        public static IPAddress[] EndGetHostAddresses(IAsyncResult asyncResult)
        {
            NamedResult named = NamedResult.From(asyncResult);
            IPAddress[] addresses = System.Net.Dns.EndGetHostAddresses(named.Inner);
            LookedUpNames.Remember(named.Name, addresses);
            return addresses;
        }

        // The runtime advises against these, and the programs that need this class call them.
#pragma warning disable 618

        /// <summary>Looks up a name; remembers it.</summary>
        public static IPHostEntry GetHostByName(string hostName)
        {
            return Remember(hostName, System.Net.Dns.GetHostByName(hostName));
        }

        /// <summary>Looks up the name of an address.</summary>
        public static IPHostEntry GetHostByAddress(string address)
        {
            return System.Net.Dns.GetHostByAddress(address);
        }

        /// <summary>Looks up the name of an address.</summary>
        public static IPHostEntry GetHostByAddress(IPAddress address)
        {
            return System.Net.Dns.GetHostByAddress(address);
        }

        /// <summary>Looks up a name or an address written out; remembers it.</summary>
        public static IPHostEntry Resolve(string hostName)
        {
            return Remember(hostName, System.Net.Dns.Resolve(hostName));
        }

        /// <summary>Begins <see cref="GetHostByName"/>.</summary>
        public static IAsyncResult BeginGetHostByName(
            string hostName, AsyncCallback requestCallback, object stateObject)
        {
            return new NamedResult(hostName, requestCallback, stateObject).Begin(
                callback => System.Net.Dns.BeginGetHostByName(hostName, callback, stateObject));
        }

        /// <summary>Ends a look-up that <see cref="BeginGetHostByName"/> began; remembers it.</summary>
        public static IPHostEntry EndGetHostByName(IAsyncResult asyncResult)
        {
            NamedResult named = NamedResult.From(asyncResult);
            return Remember(named.Name, System.Net.Dns.EndGetHostByName(named.Inner));
        }

        /// <summary>Begins <see cref="Resolve"/>.</summary>
        public static IAsyncResult BeginResolve(string hostName, AsyncCallback requestCallback, object stateObject)
        {
            return new NamedResult(hostName, requestCallback, stateObject).Begin(
                callback => System.Net.Dns.BeginResolve(hostName, callback, stateObject));
        }

        /// <summary>Ends a look-up that <see cref="BeginResolve"/> began; remembers it.</summary>
        public static IPHostEntry EndResolve(IAsyncResult asyncResult)
        {
            NamedResult named = NamedResult.From(asyncResult);
            return Remember(named.Name, System.Net.Dns.EndResolve(named.Inner));
        }

#pragma warning restore 618

        private static IPHostEntry Remember(string name, IPHostEntry entry)
        {
            if (name != null)
            {
                // The name that was asked for. The canonical one in the entry is the name server's choice.
                LookedUpNames.Remember(name, entry.AddressList);
            }
            return entry;
        }

        private static async Task<IPAddress[]> AddressesOf(Task<IPHostEntry> lookUp)
        {
            try
            {
                return (await lookUp.ConfigureAwait(false)).AddressList;
            }
            catch (Exception)
            {
                // The caller learns of it from the task that it has.
                return new IPAddress[0];
            }
        }

        /// <summary>The result of a look-up under way, with the name that it is about.</summary>
        private sealed class NamedResult : IAsyncResult
        {
            private readonly AsyncCallback callback;
            private readonly object state;
            private volatile IAsyncResult inner;

            internal NamedResult(string name, AsyncCallback callback, object state)
            {
                Name = name;
                this.callback = callback;
                this.state = state;
            }

            internal string Name { get; }

            internal IAsyncResult Inner => inner;

            public object AsyncState => state;

            public WaitHandle AsyncWaitHandle => inner.AsyncWaitHandle;

            public bool CompletedSynchronously => inner.CompletedSynchronously;

            public bool IsCompleted => inner.IsCompleted;

            internal static NamedResult From(IAsyncResult result)
            {
                if (result == null)
                {
                    throw new ArgumentNullException("asyncResult");
                }
                return result as NamedResult
                    ?? throw new ArgumentException("not from a Begin method of SslSock.Compat.Dns", "asyncResult");
            }

            internal IAsyncResult Begin(Func<AsyncCallback, IAsyncResult> begin)
            {
                AsyncCallback completed = null;
                if (callback != null)
                {
                    completed = given =>
                    {
                        // It may come before the call that began it has returned.
                        inner = given;
                        callback(this);
                    };
                }
                inner = begin(completed);
                return this;
            }
        }
    }
}
