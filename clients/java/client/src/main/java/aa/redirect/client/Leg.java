package aa.redirect.client;

/** Which way a message goes. */
public enum Leg {
  /** From the FIU to the AA. */
  REQUEST,
  /** From the AA back to the FIU. */
  CALLBACK
}
