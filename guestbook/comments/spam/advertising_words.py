"""Words of what spam sells and of how it flatters, in some languages. One alone proves nothing. Pure.

They are the beginnings of words: `casino` finds casinos too. Each book learns further words from its owner.
"""

import re
from collections.abc import Iterable
from functools import cache

GAMBLING = (
    "casino, kasino, slots, jackpot, roulette, blackjack, baccarat, poker, betting, gambl, free spins, no "
    "deposit, fixed match, spielautomat, sportwett, freispiel, ohne einzahlung, machines à sous, tours "
    "gratuits, sans dépôt, tragamonedas, apuestas, tiradas gratis, sin depósito, казино, игровые "
    "автоматы, ставки на, букмекер, фриспин, gacor, judi, 赌场, 娱乐城, 百家乐, 老虎机, カジノ, bet on, "
    "best odds, lottery, bahis, apostas, cassino, scommess, bukmacher, kasyno, gokken, lotterie"
)
MEDICINE = (
    "viagra, cialis, levitra, tadalafil, sildenafil, xanax, tramadol, oxycodone, modafinil, steroid, cbd, "
    "cannabis, pills, keto, prescription, weight loss, lose weight, belly fat, male enhancement, "
    "potenzmittel, rezeptfrei, ohne rezept, abnehmen, sans ordonnance, gélules, maigrir, minceur, sin "
    "receta, pastillas, adelgazar, виагр, дженерик, без рецепта, мефедрон, закладк, 伟哥, wrinkle, "
    "slimming, detox, collagen, testosterone, supplement, hair loss, burn fat, complément, perdre du "
    "poids, perdez, dimagri, emagrec, afvallen, odchudz, zayıfla, похуде, falten"
)
FINANCE = (
    "bitcoin, btc, crypto, krypto, usdt, forex, airdrop, invest, loan, passive income, guaranteed profit, "
    "from home, per day, credit score, binary options, gift card, kredit, schufa, von zu hause, gewinn, "
    "prêt, depuis chez vous, à domicile, argent, préstamo, gana dinero, desde casa, инвест, крипт, "
    "кредит, заработ, доход, без вложений, 投资, 贷款, 比特币, 日赚, 副業, 稼げ, trading, trader, profit "
    "daily, guaranteed profits, deposit today, first deposit, payday, mortgage, refinanc, real money, "
    "interest rate, rendite, geld verdienen, verdienen sie, gagnez, ganar dinero, ganhe, empréstimo, "
    "prestit, guadagn, pożyczk, chwilów, kredyt, zarab, lening, geld lenen, kredi, para kazan, займ, "
    "деньги"
)
SEX = (
    "porn, xxx, escort, nude, naked, horny, milf, sex, onlyfans, webcam, dating, singles, call girls, hot "
    "girls, erotik, geile, rencontre coquine, rencontres coquines, femmes chaudes, calientes, секс, "
    "проститут, интим, знакомств, 约炮, 美女, 出会, 人妻, adult video, adult dating, am lonely, "
    "uncensored, hookup, on cam, my cam, private room, nice man, for a man, cherche un homme, chicas "
    "solteras, randki, érotique, erotic, erotisch, познаком, с мужчиной"
)
SEARCH_ENGINES = (
    "seo, backlink, xrumer, dofollow, google ranking, ranking, guest post, link building, first page, "
    "followers, sponsored, traffic, linkaufbau, gesponsert, platz 1, référencement, première page, "
    "posicionamiento, primera página, продвижени, раскрутк, прогон, хрумер, 百度, 排名, page one, "
    "seguidores, abonnés, takipçi, obserwując, подписчик"
)
PAPERS = (
    "essay, dissertation, term paper, homework, assignment help, academic writing, plagiari, ghostwriter, "
    "hausarbeit, plagiat, rédaction de, tesis, trabajos universitarios, курсов, дипломн, купить диплом, "
    "代写, 论文, диплом, native writers"
)
FAKES = (
    "replica, réplica, outlet, counterfeit, cloned, rolex, louis vuitton, fake passport, driver license, "
    "driving license, diploma, führerschein kaufen, реплик, копии, 高仿, 代购, 发票, スーパーコピー, "
    "ブランド, perfect copies, passports, id cards, clone cards, cvv, escrow, handbags, luxury watch"
)
OFFERS = (
    "discount, cheap, wholesale, bonus, coupon, promo, buy, order now, call now, free quote, free trial, "
    "sign up, free shipping, worldwide shipping, limited offer, special offer, amazing offer, exclusive "
    "offer, best deal, for sale, best price, factory price, price list, click here, 24/7, rabatt, "
    "günstig, kaufen, bestellen, angebot anfordern, jetzt anmelden, jetzt registrieren, kostenlos "
    "anmelden, pas cher, remise, réduction, acheter, commandez, devis gratuit, inscription gratuite, "
    "barat, descuento, comprar, regístrate, presupuesto, скидк, дёшево, недорого, купить, заказ, "
    "регистраци, под ключ, бонус, 优惠, 免费注册, 立即, 激安, 送料無料, 今すぐ, order today, stocks last, "
    "instant delivery, discreet, affordable, upfront, book now, book your, beantragen, reserva hoy, "
    "sconto, acquista, preventivo, desconto, compre, grátis, korting, goedkoop, tanio, zniżk, darmow, "
    "zamów, indirim, ucuz, satın al, бесплатн, доставк, купите"
)
CONTACTS = (
    "whatsapp, telegram, toll free, helpline, customer service, customer support, customer care, "
    "technical support, hacker, illuminati, inheritance, beneficiary, bank details, next of kin, spell "
    "cast, love spell, lost love, black magic, vashikaran, astrologer, marabout, voyant, retour de l'être "
    "aimé, spell caster, psychic, tarot, horoscop, voyance, hellseh, kartenleg, tarocchi, гадан, "
    "приворот, notdienst, dépannage, claim your, телеграм, круглосуточно, звоните, 加微信, line登録"
)
PRAISE = (
    "blog, weblog, article, post, content, paragraph, writeup, write-up, commenting, your posts, "
    "information, informative, useful, helpful, bookmark, my site, keep up, keep writing, thanks for "
    "sharing, well written, artikel, beitrag, informationen, informativ, nützlich, hilfreich, "
    "lesezeichen, besuchen sie, schauen sie, weiter so, visitez, mon site, favoris, merci pour le "
    "partage, continuez, artículo, información, favoritos, gracias por compartir, visita, mi web, página "
    "web, стать, информац, полезн, закладки, заходите, мой сайт, 文章, 分享, 访问, visit my, visit our, "
    "also visit, this topic, off topic, info, search engine, stumbled upon, surfing around, subscrib, "
    "great work, wonderful read, paragraph is pleasant, these things, these issues, your site, saved "
    "your, every bit of, to discover, could not be written, could not be any better, type of info, "
    "writing style, web browser, your time for, great potential"
)
GOODS = (
    "download, torrent, streaming, iptv, crack, keygen, license key, generator, giveaway, nft, wallet, "
    "manufacturer, supplier, factory, sourcing, dropshipping, inquiry, catalog, lawyer, compensation, "
    "insurance, consultation, rehab, near me, quote, hosting, proxies, leads, marketing, holiday deal, "
    "holiday package, % off, money back, guarantee, no skills, no experience, hurry up, angebote, "
    "festpreis, vergleichen und, assurance, seguros, приложение, гарантия, онлайн заявка"
)
TRADES = (
    "plumber, roofing, roofer, electrician, locksmith, contractor, we are licensed, boiler repair, "
    "cleaning service, moving company, airport transfer, car rental, limousine, pest control, free "
    "estimate, no obligation, in your area, near you, schlüsseldienst, klempner, entrümpel, umzugs, in "
    "ihrer nähe, plombier, serrurier, déménag, près de chez vous, fontanero, cerrajero, idraulico, "
    "encanador, loodgieter, tesisat, строительств"
)
BUSINESS = (
    "we offer, we provide, we sell, we supply, we produce, we manufacture, our services, our experts, our "
    "products, our company, our agency, our advisers, our technician, your business, your company, your "
    "requirement, dear sir, dear manager, hello sir, wir bieten, unsere produkte, unsere leistungen, nous "
    "proposons, nos services, ofrecemos, nuestros servicios, nuestra empresa, offriamo, i nostri servizi, "
    "oferecemos, nossos serviços, oferujemy, wij bieden, onze diensten, hizmetlerimiz, предлагаем, наша "
    "компания, наши услуги, bulletproof, full version, serial key, game keys, movies online, live "
    "channels, unlimited coins"
)
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@cache  # here and not when a command starts: it takes longer than all else in this file
def _pattern(lists: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds the words at the beginning of words, and anywhere in unspaced scripts."""
    words = sorted((word.strip() for one in lists for word in one.split(",")), key=len, reverse=True)
    spaced = "|".join(re.escape(word) for word in words if word and not SPACELESS.search(word))
    unspaced = "|".join(re.escape(word) for word in words if SPACELESS.search(word))
    return re.compile(rf"(?<![^\W_])(?:{spaced})|{unspaced}")


ALL_SOLD = (
    GAMBLING,
    MEDICINE,
    FINANCE,
    SEX,
    SEARCH_ENGINES,
    PAPERS,
    FAKES,
    GOODS,
    OFFERS,
    CONTACTS,
    TRADES,
    BUSINESS,
)


def beginning_of(word: str) -> re.Pattern[str]:
    """Return a pattern that finds a word or phrase of the owner's list in the same way."""
    return re.compile(re.escape(word) if SPACELESS.search(word) else rf"(?<![^\W_]){re.escape(word)}")


def sold(text: str) -> list[str]:
    """Return the words for what spam sells that a casefolded text holds, each once."""
    return list(dict.fromkeys(_pattern(ALL_SOLD).findall(text)))


def praise(text: str) -> list[str]:
    """Return the words with which spam flatters any page that a casefolded text holds, each once."""
    return list(dict.fromkeys(_pattern((PRAISE,)).findall(text)))
