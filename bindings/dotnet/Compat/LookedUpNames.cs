using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock.Compat
{
    /// <summary>
    /// Which name an address was looked up by. A program that connects to an address and gives no name means, if
    /// anything, the name that it has looked up last and that gave this address: there is never a choice among names.
    /// </summary>
    /// <remarks>
    /// What is looked up synchronously counts for the thread that did it. What is looked up by a method that answers
    /// a task counts wherever the flow of control goes on that asked for it, for it changes threads.
    /// </remarks>
    internal static class LookedUpNames
    {
        private const int Capacity = 1024;

        private static readonly long Lifetime = 600 * Stopwatch.Frequency;

        /// <summary>Replaced by the tests alone.</summary>
        private static Func<long> clock = Stopwatch.GetTimestamp;

        [ThreadStatic]
        private static Dictionary<string, LookUp> ofThread;

        private static readonly AsyncLocal<LookUp> ofFlow = new AsyncLocal<LookUp>();

        private sealed class LookUp
        {
            internal string Name;
            internal long Time;

            // For those of a flow alone: its result when it is there, and the one before it.
            internal Task<IPAddress[]> Addresses;
            internal LookUp Previous;
            internal int Count;
        }

        internal static void Remember(string name, IEnumerable<IPAddress> addresses)
        {
            if (ofThread == null)
            {
                ofThread = new Dictionary<string, LookUp>();
            }
            LookUp one = new LookUp { Name = name, Time = clock() };
            foreach (IPAddress address in addresses)
            {
                ofThread[Plain(address)] = one;
            }
            while (ofThread.Count > Capacity)
            {
                ForgetOldest();
            }
        }

        internal static void Remember(string name, Task<IPAddress[]> addresses)
        {
            LookUp previous = ofFlow.Value;
            int count = previous == null ? 1 : previous.Count + 1;
            if (count > Capacity)
            {
                // Flows share their pasts, so that a single one cannot be taken out.
                previous = null;
                count = 1;
            }
            ofFlow.Value = new LookUp
            {
                Name = name, Time = clock(), Addresses = addresses, Previous = previous, Count = count
            };
        }

        /// <summary>The name that the latest look-up had which gave this address, or null.</summary>
        internal static string Find(IPAddress address)
        {
            string plain = Plain(address);
            LookUp latest = null;
            if (ofThread != null)
            {
                ofThread.TryGetValue(plain, out latest);
            }
            for (LookUp one = ofFlow.Value; one != null; one = one.Previous)
            {
                if (one.Addresses.Status == TaskStatus.RanToCompletion
                    && Array.Exists(one.Addresses.Result, found => Plain(found) == plain))
                {
                    latest = latest == null || one.Time > latest.Time ? one : latest;
                    break;
                }
            }
            return latest != null && clock() - latest.Time <= Lifetime ? latest.Name : null;
        }

        private static void ForgetOldest()
        {
            KeyValuePair<string, LookUp> oldest = default(KeyValuePair<string, LookUp>);
            foreach (KeyValuePair<string, LookUp> entry in ofThread)
            {
                if (oldest.Value == null || entry.Value.Time < oldest.Value.Time)
                {
                    oldest = entry;
                }
            }
            ofThread.Remove(oldest.Key);
        }

        /// <summary>
        /// As text: for an address as a key CoreCLR needs random numbers of OpenSSL, and ends a process that has none.
        /// </summary>
        private static string Plain(IPAddress address)
        {
            return (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();
        }
    }
}
