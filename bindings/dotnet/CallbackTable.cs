using System;
using System.Collections.Generic;

namespace SslSock
{
    /// <summary>
    /// The delegates that stand behind the static callbacks which the library calls, each under a number that is used
    /// once: one that comes too late finds nothing, rather than another's. Handles with equal delegates have one number,
    /// for to the library other arguments are other hooks, and sessions are not shared between those.
    /// </summary>
    internal sealed class CallbackTable<T> where T : class
    {
        private readonly Dictionary<T, Entry> byCallback = new Dictionary<T, Entry>();
        private readonly Dictionary<long, Entry> byNumber = new Dictionary<long, Entry>();
        private long last;

        /// <summary>Registers one more user of a delegate.</summary>
        internal IntPtr Add(T callback)
        {
            lock (byNumber)
            {
                Entry entry;
                if (!byCallback.TryGetValue(callback, out entry))
                {
                    entry = new Entry(callback, ++last);
                    byCallback.Add(callback, entry);
                    byNumber.Add(entry.Number, entry);
                }
                entry.Users++;
                return new IntPtr(entry.Number);
            }
        }

        /// <summary>One user less. A delegate without any is forgotten.</summary>
        internal void Remove(IntPtr number)
        {
            lock (byNumber)
            {
                Entry entry;
                if (byNumber.TryGetValue(number.ToInt64(), out entry) && --entry.Users == 0)
                {
                    byNumber.Remove(entry.Number);
                    byCallback.Remove(entry.Callback);
                }
            }
        }

        /// <exception cref="ObjectDisposedException">The handle that it was set on is no more.</exception>
        internal T Find(IntPtr number)
        {
            lock (byNumber)
            {
                Entry entry;
                if (!byNumber.TryGetValue(number.ToInt64(), out entry))
                {
                    throw new ObjectDisposedException(typeof(T).Name);
                }
                return entry.Callback;
            }
        }

        private sealed class Entry
        {
            internal readonly T Callback;
            internal readonly long Number;
            internal int Users;

            internal Entry(T callback, long number)
            {
                Callback = callback;
                Number = number;
            }
        }
    }
}
