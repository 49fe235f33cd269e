package aa.redirect.client;

import java.util.List;
import java.util.Map;

/**
 * The members of {@code ecreq}: what an FIU asks an AA for. Decode gives back exactly what encode
 * got. Make one with {@link #builder}.
 *
 * @param txnid a UUID; empty on encode: the service makes one
 * @param sessionid the FIU's own state, which comes back byte for byte; may be empty
 * @param userid name or mobile number, {@code @} and the AA's handle: {@code 9999988888@aa}
 * @param redirect the absolute URL to return to; a text, because it is kept byte for byte, and
 *     browsers allow characters that {@link java.net.URI} does not
 * @param srcref 1 to 200 consent handles
 * @param fipid FIP ids
 * @param email the user's e-mail address
 * @param pan the user's permanent account number
 * @param dob the user's date of birth, {@code YYYY-MM-DD}; any text on decode
 * @param isoLanguageCode the language to greet the user in, such as {@code hi-IN}
 * @param extra members that the guideline does not have, by name
 */
public record Redirect(
    String txnid,
    String sessionid,
    String userid,
    String redirect,
    List<String> srcref,
    List<String> fipid,
    String email,
    String pan,
    String dob,
    String isoLanguageCode,
    Map<String, String> extra) {

  // Copies the lists and the map. No member is null: an empty one is absent.
  public Redirect {
    Texts.present(txnid, sessionid, userid, redirect, email, pan, dob, isoLanguageCode);
    srcref = List.copyOf(srcref);
    fipid = List.copyOf(fipid);
    extra = Texts.copy(extra);
  }

  /**
   * A builder in which all members are empty.
   *
   * @return the builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /** Shows no member. */
  @Override
  public String toString() {
    return "Redirect[members not shown]";
  }

  /** Collects the members of a {@link Redirect}. */
  public static final class Builder {
    private String txnid = "";
    private String sessionid = "";
    private String userid = "";
    private String redirect = "";
    private List<String> srcref = List.of();
    private List<String> fipid = List.of();
    private String email = "";
    private String pan = "";
    private String dob = "";
    private String isoLanguageCode = "";
    private Map<String, String> extra = Map.of();

    private Builder() {}

    /**
     * Optional: a UUID. Empty: the service makes one.
     *
     * @param value the member
     * @return this
     */
    public Builder txnid(String value) {
      txnid = value;
      return this;
    }

    /**
     * Optional: the FIU's own state.
     *
     * @param value the member
     * @return this
     */
    public Builder sessionid(String value) {
      sessionid = value;
      return this;
    }

    /**
     * Required: name or mobile number, {@code @} and the AA's handle.
     *
     * @param value the member
     * @return this
     */
    public Builder userid(String value) {
      userid = value;
      return this;
    }

    /**
     * Required: the absolute URL to return to.
     *
     * @param value the member
     * @return this
     */
    public Builder redirect(String value) {
      redirect = value;
      return this;
    }

    /**
     * Required: the absolute URL to return to.
     *
     * @param value the member
     * @return this
     */
    public Builder redirect(java.net.URI value) {
      return redirect(value.toString());
    }

    /**
     * Required: 1 to 200 consent handles.
     *
     * @param values the member
     * @return this
     */
    public Builder srcref(String... values) {
      return srcref(List.of(values));
    }

    /**
     * Required: 1 to 200 consent handles.
     *
     * @param values the member
     * @return this
     */
    public Builder srcref(List<String> values) {
      srcref = values;
      return this;
    }

    /**
     * Optional: FIP ids.
     *
     * @param values the member
     * @return this
     */
    public Builder fipid(List<String> values) {
      fipid = values;
      return this;
    }

    /**
     * Optional: the user's e-mail address.
     *
     * @param value the member
     * @return this
     */
    public Builder email(String value) {
      email = value;
      return this;
    }

    /**
     * Optional: the user's permanent account number.
     *
     * @param value the member
     * @return this
     */
    public Builder pan(String value) {
      pan = value;
      return this;
    }

    /**
     * Optional: the user's date of birth.
     *
     * @param value the member, {@code YYYY-MM-DD}
     * @return this
     */
    public Builder dob(String value) {
      dob = value;
      return this;
    }

    /**
     * Optional: the user's date of birth.
     *
     * @param value the member
     * @return this
     */
    public Builder dob(java.time.LocalDate value) {
      return dob(value.toString());
    }

    /**
     * Optional: the language to greet the user in.
     *
     * @param value the member, such as {@code hi-IN}
     * @return this
     */
    public Builder isoLanguageCode(String value) {
      isoLanguageCode = value;
      return this;
    }

    /**
     * Optional: members that the guideline does not have.
     *
     * @param values the members by name
     * @return this
     */
    public Builder extra(Map<String, String> values) {
      extra = values;
      return this;
    }

    /**
     * The members.
     *
     * @return the members as they are now
     */
    public Redirect build() {
      return new Redirect(
          txnid,
          sessionid,
          userid,
          redirect,
          srcref,
          fipid,
          email,
          pan,
          dob,
          isoLanguageCode,
          extra);
    }
  }
}
