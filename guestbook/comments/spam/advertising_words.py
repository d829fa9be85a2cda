"""Words of what spam sells and of how it flatters, in some languages. One alone proves nothing. Pure.

They are the beginnings of words: `casino` finds casinos too. Each book learns further words from its owner.
"""

import re
from collections.abc import Iterable

GAMBLING = (
    "casino, kasino, slots, jackpot, roulette, blackjack, baccarat, poker, betting, gambl, free spins, no "
    "deposit, fixed match, spielautomat, sportwett, freispiel, ohne einzahlung, machines à sous, tours "
    "gratuits, sans dépôt, tragamonedas, apuestas, tiradas gratis, sin depósito, казино, игровые "
    "автоматы, ставки на, букмекер, фриспин, gacor, judi, 赌场, 娱乐城, 百家乐, 老虎机, カジノ"
)
MEDICINE = (
    "viagra, cialis, levitra, tadalafil, sildenafil, xanax, tramadol, oxycodone, modafinil, steroid, cbd, "
    "cannabis, pills, keto, prescription, weight loss, lose weight, belly fat, male enhancement, "
    "potenzmittel, rezeptfrei, ohne rezept, abnehmen, sans ordonnance, gélules, maigrir, minceur, sin "
    "receta, pastillas, adelgazar, виагр, дженерик, без рецепта, мефедрон, закладк, 伟哥"
)
FINANCE = (
    "bitcoin, btc, crypto, krypto, usdt, forex, airdrop, invest, loan, passive income, guaranteed profit, "
    "from home, per day, credit score, binary options, gift card, kredit, schufa, von zu hause, gewinn, "
    "prêt, depuis chez vous, à domicile, argent, préstamo, gana dinero, desde casa, инвест, крипт, "
    "кредит, заработ, доход, без вложений, 投资, 贷款, 比特币, 日赚, 副業, 稼げ"
)
SEX = (
    "porn, xxx, escort, nude, naked, horny, milf, sex, onlyfans, webcam, dating, singles, call girls, hot "
    "girls, erotik, geile, rencontre coquine, rencontres coquines, femmes chaudes, calientes, секс, "
    "проститут, интим, знакомств, 约炮, 美女, 出会, 人妻"
)
SEARCH_ENGINES = (
    "seo, backlink, xrumer, dofollow, google ranking, ranking, guest post, link building, first page, "
    "followers, sponsored, traffic, linkaufbau, gesponsert, platz 1, référencement, première page, "
    "posicionamiento, primera página, продвижени, раскрутк, прогон, хрумер, 百度, 排名"
)
PAPERS = (
    "essay, dissertation, term paper, homework, assignment help, academic writing, plagiari, ghostwriter, "
    "hausarbeit, plagiat, rédaction de, tesis, trabajos universitarios, курсов, дипломн, купить диплом, "
    "代写, 论文"
)
FAKES = (
    "replica, réplica, outlet, counterfeit, cloned, rolex, louis vuitton, fake passport, driver license, "
    "driving license, diploma, führerschein kaufen, реплик, копии, 高仿, 代购, 发票, スーパーコピー, ブランド"
)
OFFERS = (
    "discount, cheap, wholesale, bonus, coupon, promo, buy, order now, call now, free quote, free trial, "
    "sign up, free shipping, worldwide shipping, limited offer, special offer, amazing offer, exclusive "
    "offer, best deal, for sale, best price, factory price, price list, click here, 24/7, rabatt, "
    "günstig, kaufen, bestellen, angebot anfordern, jetzt anmelden, jetzt registrieren, kostenlos "
    "anmelden, pas cher, remise, réduction, acheter, commandez, devis gratuit, inscription gratuite, "
    "barat, descuento, comprar, regístrate, presupuesto, скидк, дёшево, недорого, купить, заказ, "
    "регистраци, под ключ, бонус, 优惠, 免费注册, 立即, 激安, 送料無料, 今すぐ"
)
CONTACTS = (
    "whatsapp, telegram, toll free, helpline, customer service, customer support, customer care, "
    "technical support, hacker, illuminati, inheritance, beneficiary, bank details, next of kin, spell "
    "cast, love spell, lost love, black magic, vashikaran, astrologer, marabout, voyant, retour de l'être "
    "aimé, notdienst, dépannage, claim your, телеграм, круглосуточно, звоните, 加微信, line登録"
)
PRAISE = (
    "blog, weblog, article, post, content, paragraph, writeup, write-up, commenting, your posts, "
    "information, informative, useful, helpful, bookmark, my site, keep up, keep writing, thanks for "
    "sharing, well written, artikel, beitrag, informationen, informativ, nützlich, hilfreich, "
    "lesezeichen, besuchen sie, schauen sie, weiter so, visitez, mon site, favoris, merci pour le "
    "partage, continuez, artículo, información, favoritos, gracias por compartir, visita, mi web, página "
    "web, стать, информац, полезн, закладки, заходите, мой сайт, 文章, 分享, 访问, visit my, visit our, also "
    "visit, this topic, off topic, visit my, visit our, also visit, this topic, off topic"
)
GOODS = (
    "download, torrent, streaming, iptv, crack, keygen, license key, generator, giveaway, nft, wallet, "
    "manufacturer, supplier, factory, sourcing, dropshipping, inquiry, catalog, lawyer, compensation, "
    "insurance, consultation, rehab, near me, quote, hosting, proxies, leads, marketing, holiday deal, "
    "holiday package, % off, money back, guarantee, no skills, no experience, hurry up, angebote, "
    "festpreis, vergleichen und, assurance, seguros, приложение, гарантия, онлайн заявка"
)
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def _pattern(lists: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds the words at the beginning of words, and anywhere in unspaced scripts."""
    words = sorted((word.strip() for one in lists for word in one.split(",")), key=len, reverse=True)
    spaced = "|".join(re.escape(word) for word in words if word and not SPACELESS.search(word))
    unspaced = "|".join(re.escape(word) for word in words if SPACELESS.search(word))
    return re.compile(rf"(?<![^\W_])(?:{spaced})|{unspaced}")


SOLD_PATTERN = _pattern(
    (GAMBLING, MEDICINE, FINANCE, SEX, SEARCH_ENGINES, PAPERS, FAKES, GOODS, OFFERS, CONTACTS)
)
PRAISE_PATTERN = _pattern((PRAISE,))


def beginning_of(word: str) -> re.Pattern[str]:
    """Return a pattern that finds a word or phrase of the owner's list in the same way."""
    return re.compile(re.escape(word) if SPACELESS.search(word) else rf"(?<![^\W_]){re.escape(word)}")


def sold(text: str) -> list[str]:
    """Return the words for what spam sells that a casefolded text holds, each once."""
    return list(dict.fromkeys(SOLD_PATTERN.findall(text)))


def praise(text: str) -> list[str]:
    """Return the words with which spam flatters any page that a casefolded text holds, each once."""
    return list(dict.fromkeys(PRAISE_PATTERN.findall(text)))
